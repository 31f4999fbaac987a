"""The exit codes, which scripts rely on."""

from auditor.errors import AuditorError, ConfigError, DeliveryError, SourceError

CLEAN = 0
FINDINGS = 1
"""Open, unsuppressed findings at or above ``--fail-on`` (or ``--fail-on-new``)."""
USAGE = 2
"""Configuration or usage."""
INCOMPLETE = 3
"""A source, report or delivery failed or was partial; wins over `FINDINGS`."""
INTERNAL = 4
"""A defect, or a database that cannot be used."""
INTERRUPTED = 130


def code_for(error: AuditorError) -> int:
    """Return the exit code that *error* ends a command with."""
    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, SourceError | DeliveryError):
        return INCOMPLETE
    return INTERNAL
