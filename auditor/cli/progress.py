"""How far a run is: bars on a terminal, silence elsewhere (the log has the milestones)."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, str, int], None]
"""(source, what, how many more) → shown."""


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Report]:
    """Yield the function that a run tells its progress to."""
    if quiet or not sys.stderr.isatty():
        yield lambda _source, _what, _n: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f} {task.fields[what]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def report(source: str, what: str, more: int) -> None:
            key = (source, what)
            if key not in tasks:
                tasks[key] = bars.add_task(escape(source), total=None, what=escape(what))
            bars.advance(tasks[key], more)

        yield report
