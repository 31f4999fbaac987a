"""The last steps: render reports into files that are whole or absent."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import structlog

from auditor import plugs
from auditor.errors import ConfigError
from auditor.findings.view import ReportView
from auditor.reports.interface import ReportFormat

log = structlog.get_logger()

Options = Mapping[str, Mapping[str, Any]]
"""Format → its options: ``reports.options`` of the configuration, checked when it is read."""


def format_named(name: str, options: Options | None = None) -> ReportFormat:
    """Return the format called *name* with its share of the *options*; raises `ConfigError`."""
    kind = plugs.find("auditor.reports", name, ReportFormat)
    return kind(kind.Options.model_validate((options or {}).get(name, {})))


def open_formats(names: Sequence[str], options: Options | None = None) -> list[ReportFormat]:
    """Return the formats called *names*, each once; raises `ConfigError`."""
    return [format_named(name, options) for name in dict.fromkeys(names)]


def prepare_directory(directory: Path) -> None:
    """Make *directory* and prove that it can be written; raises `ConfigError`.

    Called before anything is read, so that an hour of collecting is not lost to a full disk's
    or a wrong owner's refusal.
    """
    probe = directory / f".auditor-{os.getpid()}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"The report folder {directory} cannot be written: {error.strerror}. "
            "Name another with --output or `reports.directory`."
        ) from error


def write_report(view: ReportView, report: ReportFormat, directory: Path) -> Path:
    """Render *view* into its file in *directory* and return the path; raises OSError.

    The bytes reach the disk under another name first, so that nobody meets half a report.
    """
    path = directory / report.filename.format(run=view.run.id)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as out:
            report.render(view, cast("BinaryIO", out))
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def publish(
    view: ReportView, formats: Sequence[ReportFormat], directory: Path
) -> tuple[list[Path], list[str]]:
    """Write every report; returns the paths, and a sentence for each that could not be written."""
    paths, failures = [], []
    for report in formats:
        try:
            path = write_report(view, report, directory)
        except OSError as error:
            name = report.filename.format(run=view.run.id)
            failures.append(
                f"{name} could not be written to {directory}: {error.strerror}; "
                f"free the folder and run `auditor report --run {view.run.id}`"
            )
            log.error("report.failed", report=name, error=error.strerror)  # noqa: TRY400
        else:
            paths.append(path)
            log.info("report.written", path=str(path))
    return paths, failures
