"""The command line: commands, exit codes, and the only place that prints.

Modules are imported when their command is called, so that ``--help`` answers at once.
"""

import errno
import os
import sys
from collections.abc import Sequence

import click

from auditor import __version__
from auditor.cli.exits import INTERNAL, INTERRUPTED, code_for
from auditor.cli.lazy import LazyGroup, without
from auditor.cli.memory import importing
from auditor.errors import AuditorError

COMMANDS = {
    "audit": ("auditor.cli.audit:audit", "Audit the configured sources once."),
    "daemon": ("auditor.cli.daemon:daemon", "Audit on the configured schedules until stopped."),
    "web": ("auditor.cli.web:web", "Show what the store holds in a browser, read only."),
    "status": ("auditor.cli.status:status", "Show how the auditor fares."),
    "report": ("auditor.cli.report:report", "Render a stored run again."),
    "deliver": ("auditor.cli.deliver:deliver", "Hand a stored run over again, or show how."),
    "evaluate": ("auditor.cli.evaluate:evaluate", "Show what other policies would change."),
    "diff": ("auditor.cli.diff:diff", "Show what changed between two runs."),
    "findings": ("auditor.cli.findings:findings", "List findings or show one with its history."),
    "credentials": ("auditor.cli.credentials:credentials", "List credentials or show one."),
    "policies": ("auditor.cli.policies:policies", "List, show or test policies."),
    "providers": ("auditor.cli.providers:providers", "List providers or show one."),
    "sources": ("auditor.cli.sources:sources", "Check what the configured sources may read."),
    "owners": ("auditor.cli.owners:owners", "List owners with what is theirs."),
    "review": ("auditor.cli.review:review", "List what owners have to confirm."),
    "plan": ("auditor.cli.plan:plan", "Write scripts that mend chosen findings."),
    "trends": ("auditor.cli.trends:trends", "Show how findings and their mending develop."),
    "compliance": ("auditor.cli.compliance:compliance", "Show how controls of standards stand."),
    "exceptions": ("auditor.cli.exceptions:exceptions", "List, check or add exceptions."),
    "init": ("auditor.cli.init:init", "Write a first configuration."),
    "config": ("auditor.cli.config:config", "Check the configuration or print its schema."),
    "db": ("auditor.cli.db:db", "Upgrade or prune the database."),
}

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=LazyGroup, commands_by_name=COMMANDS, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, prog_name="auditor")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default=lambda: "warning" if sys.stderr.isatty() else "info",
    help="Least severe log line to write to stderr.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "json"]),
    default="auto",
    help="auto: console on a terminal, JSON otherwise.",
)
def cli(log_level: str, log_format: str) -> None:
    """Find dormant, stale and over-permissioned credentials, and say which one comes first."""
    os.umask(0o077)  # everything written from here on is for its owner only
    # structlog imports rich for tracebacks of another look than ours, which takes it 50 ms.
    with importing(), without("rich"):
        from auditor.log import configure  # noqa: PLC0415 - slow to import, and no part of --help

    configure(level=log_level, json=None if log_format == "auto" else log_format == "json")


def main(arguments: Sequence[str] | None = None) -> int:  # noqa: PLR0911 - one return an ending
    """Run a command and return its exit code; nothing escapes as a traceback."""
    _open_streams()
    try:
        result = cli.main(args=arguments, prog_name="auditor", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("auditor: interrupted", err=True)
        return INTERRUPTED
    except AuditorError as error:
        click.echo(f"auditor: {_redacted(error)}", err=True)
        return code_for(error)
    except SystemExit:
        # click's answer to a broken pipe: the reader has seen enough, which is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the last boundary of the program
        _report(error)
        return INTERNAL
    return result if isinstance(result, int) else 0


def _open_streams() -> None:
    """Stand in for streams that were closed before we began, as some schedulers leave them.

    Without that a file opened later, the database say, could get the number of one of them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _redacted(error: Exception) -> str:
    from auditor.log import redact  # noqa: PLC0415 - only an error needs it

    return redact(str(error))


_SURROUNDINGS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
)
"""What the machine lacks when a call fails so, which is no defect of ours."""


def _report(error: Exception) -> None:
    """Tell what went wrong: with the machine, or else with this program."""
    import structlog  # noqa: PLC0415 - only a failure needs it here

    if structlog.is_configured():  # else the log itself is what failed
        structlog.get_logger().debug("command.crashed", exc_info=error)
    if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
        what = error.filename or "The output"
        click.echo(
            f"auditor: {what} cannot be written or read: {error.strerror}; "
            "mend that and run the command again.",
            err=True,
        )
        return
    click.echo(
        f"auditor: internal error: {type(error).__name__}: {_redacted(error)}\n"
        "This is a defect. `auditor --log-level debug …` shows where; please report it.",
        err=True,
    )
