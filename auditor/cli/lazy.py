"""Imports only what a command needs: commands when they are called, no more than they use."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from auditor.cli.memory import importing


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let what is imported meanwhile find no module *name*, which it could do without.

    Whoever asks for that module later gets it as ever.
    """
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment] # makes `import` raise ImportError
    try:
        yield
    finally:
        del sys.modules[name]


class LazyGroup(click.Group):
    """Knows its commands as ``name → (module:function, one line of help)``."""

    def __init__(
        self, *args: Any, commands_by_name: Mapping[str, tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._commands_by_name = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which people meet them."""
        return list(self._commands_by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self._commands_by_name:
            close = get_close_matches(cmd_name, self._commands_by_name, n=1)
            if close:
                ctx.fail(f"No such command {cmd_name!r}. Did you mean {close[0]!r}?")
            return None
        module, _, name = self._commands_by_name[cmd_name][0].partition(":")
        with importing():
            command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)  # noqa: S101 - a slip in the table above
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self._commands_by_name[name][1]) for name in self.list_commands(ctx)]
            )
