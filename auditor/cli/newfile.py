"""Writes a file that was not there: whole, for its owner only, or not at all."""

import os
from pathlib import Path

from auditor.errors import ConfigError


def write_new(path: Path, text: str, *, otherwise: str) -> None:
    """Write *text* to *path*; raises `ConfigError`, which says what to do *otherwise*.

    A file that is there already stays as it is; one that cannot be finished is taken away again.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists; {otherwise}.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; {otherwise}.") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        path.unlink()
        raise ConfigError(f"{path} cannot be written: {error.strerror}; {otherwise}.") from error
