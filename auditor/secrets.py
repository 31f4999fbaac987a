"""References to secrets in the configuration, and the one place where they become values.

``${env:NAME}`` and ``${file:PATH}`` may stand in any string. They are resolved when a source or
channel opens, and what they resolve to is struck out of every log line from then on.
"""

import os
import re
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import structlog

from auditor.errors import ConfigError
from auditor.log import register_secret

log = structlog.get_logger()

_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_SECRET_FIELD = re.compile(
    r"(?i)(?:^|_)(?:token|secret|password|passphrase|api_?key|private_?key|credentials?|key)$"
)
_SECRET_NAME = re.compile(r"(?i)TOKEN|SECRET|PASS|KEY|CREDENTIAL|AUTH")


def has_reference(value: Any) -> bool:
    """Tell whether *value* is a string that holds a reference."""
    return isinstance(value, str) and _REFERENCE.search(value) is not None


def is_secret_field(name: str) -> bool:
    """Tell whether a configuration key of this name is meant to hold a secret."""
    return _SECRET_FIELD.search(name) is not None


def resolve_all(value: Any, directory: Path, where: str = "", field: str = "") -> Any:
    """Return *value* (strings, lists, mappings) with every reference resolved.

    *where* names the place for messages, such as ``sources[0].token``; *directory* is where
    relative paths start. Raises `ConfigError`.
    """
    if isinstance(value, str):
        return resolve(value, directory, where, field)
    if isinstance(value, dict):
        return {
            key: resolve_all(item, directory, f"{where}.{key}" if where else str(key), str(key))
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            resolve_all(item, directory, f"{where}[{index}]", field)
            for index, item in enumerate(value)
        ]
    return value


def resolve(text: str, directory: Path, where: str = "", field: str = "") -> str:
    """Return *text* with its references resolved; raises `ConfigError`."""

    def replace(match: re.Match[str]) -> str:
        return _lookup(match.group(1), directory, where, field)

    resolved = _REFERENCE.sub(replace, text)
    if is_secret_field(field):
        register_secret(resolved)
    return resolved


def resolve_url(url: str, directory: Path, where: str) -> str:
    """Return *url* with its references resolved; raises `ConfigError`.

    What stands for a part of it, such as the password, is percent-encoded: any character may be in
    there. One reference alone stands for a whole URL and is taken as it is.
    """
    if _REFERENCE.fullmatch(url):
        return resolve(url, directory, where, "password")
    return _REFERENCE.sub(
        lambda match: quote(_lookup(match.group(1), directory, where, "password"), safe=""), url
    )


def _lookup(reference: str, directory: Path, where: str, field: str) -> str:
    at = f" (in {where})" if where else ""
    scheme, _, name = reference.partition(":")
    if scheme == "env" and name:
        if name not in os.environ:
            raise ConfigError(f"The environment variable {name} is not set{at}; export it first.")
        value = os.environ[name]
        if is_secret_field(field) or _SECRET_NAME.search(name):
            register_secret(value)
        return value
    if scheme == "file" and name:
        value = _read(directory / Path(name).expanduser(), at)
        register_secret(value)
        return value
    raise ConfigError(
        f"${{{reference}}} is no reference{at}; write ${{env:NAME}} or ${{file:PATH}}."
    )


def _read(path: Path, at: str) -> str:
    try:
        if path.stat().st_mode & stat.S_IROTH and not path.is_relative_to("/run/secrets"):
            log.warning("secret.readable_by_others", path=str(path), next=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{path}{at} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}{at} is not UTF-8 text.") from error
