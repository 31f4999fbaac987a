"""Keep secret material and unstorable text out of what an export says.

An export is written by somebody else: it may carry the very secrets the auditor must not hold.
Fields outside the allow-list never get here; this looks at what is on it.
"""

import re
from functools import lru_cache
from math import isfinite
from typing import Any

_SHAPES = (
    rb"gh[pousr]_[A-Za-z0-9]{20}",
    rb"github_pat_[A-Za-z0-9_]{20}",
    rb"glpat-[A-Za-z0-9_-]{16}",
    rb"xox[abeprs]-[A-Za-z0-9-]{10}",
    rb"sk(?:-[A-Za-z0-9_-]{20}|_live_[A-Za-z0-9]{16})",
    rb"rk_live_[A-Za-z0-9]{16}",
    rb"AIza[A-Za-z0-9_-]{35}",
    rb"ya29\.[A-Za-z0-9_-]{20}",
    rb"dckr_pat_[A-Za-z0-9_-]{20}",
    rb"hvs\.[A-Za-z0-9_-]{20}",
    rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8}",
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----",
)
"""What tokens look like from their first letter on. Access-key ids are identifiers and stay."""
_USER_AND_PASSWORD = rb"://[^/\s:@\"]+:[^/\s@\"]+@"

_ESCAPED = rb"\\(?:u00[0-7]|/\\/)"
"""JSON can spell ``ghp_`` as ``\\u0067hp_`` and ``://`` as ``:\\/\\/``, or hide a NUL."""

_SEARCHES = tuple(re.compile(shape).search for shape in (*_SHAPES, _USER_AND_PASSWORD))
"""One by one: each begins with a literal, for which `re` searches ten times as fast as for a
choice of them."""
_find_escaped = re.compile(_ESCAPED).search
_SHAPE = re.compile(rb"(?<![A-Za-z0-9])(?:" + b"|".join(_SHAPES) + rb")|" + _USER_AND_PASSWORD)

_SECRET_KEY = re.compile(
    r"(?i)(?:secret|password|passwd|passphrase|token|authorization|cookie|plaintext"
    r"|private[_-]?key|api[_-]?key|secret[_-]?(?:key|value|text|access[_-]?key)"
    r"|key[_-]?material|session[_-]?key|signing[_-]?key|(?:secret|password|token)[_-]?hash)$"
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_DEEPEST = 20
_LARGEST_INT = 2**63 - 1


def may_hold_secret(source: bytes) -> bool:
    """Tell, fast and with false alarms, whether JSON text holds anything shaped like a secret."""
    # Most text has no backslash at all, which shows ten times as fast as a search for more.
    if b"\\" in source and _find_escaped(source):
        return True
    return any(search(source) for search in _SEARCHES)


def is_secret(text: str) -> bool:
    """Tell whether *text* holds anything shaped like secret material."""
    return _SHAPE.search(text.encode("utf-8", "replace")) is not None


@lru_cache(maxsize=4096)
def is_secret_key(key: str) -> bool:
    """Tell whether a field of this name holds secret material (``client_secret``, ``token``)."""
    return _SECRET_KEY.search(key) is not None


def clean_text(text: str) -> str:
    """Replace what neither UTF-8 nor every database can hold: lone surrogates and U+0000."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def clean(value: Any, depth: int = 0) -> Any:
    """Return free-form JSON data without secret material, numbers in range, depth bounded."""
    if isinstance(value, str):
        return None if is_secret(value) else clean_text(value)
    if depth > _DEEPEST:
        return None
    if isinstance(value, dict):
        return {
            clean_text(str(key)): clean(item, depth + 1)
            for key, item in value.items()
            if not is_secret_key(str(key))
            and not is_secret(str(key))
            and not (isinstance(item, str) and is_secret(item))
        }
    if isinstance(value, list | tuple):
        return [clean(item, depth + 1) for item in value]
    return _in_range(value)


def _in_range(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, int) and abs(value) > _LARGEST_INT:
        return str(value)
    return value
