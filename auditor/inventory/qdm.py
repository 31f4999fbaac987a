"""Credentials as ``programmatic_credential`` objects of Query's data model (QDM 1.5.1).

QDM takes OCSF's object and adds ``raw_data``, ``record_id`` and an array ``unmapped`` to it, each
entry of which has ``name``, ``type``, ``is_array`` and ``value`` (docs.query.ai, *Unmapped*).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from auditor.model import Credential
from auditor.wording import clean

_MAPPED = frozenset({"uid", "type", "last_used_at", "raw"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_TYPES = {bool: "Boolean", int: "Integer", float: "Float", str: "String"}


def programmatic_credential(credential: Credential) -> dict[str, Any]:
    """Return *credential* as a QDM object: plain JSON data.

    ``uid`` is the provider's own id and ``record_id`` ours. ``last_used_time`` is milliseconds
    since 1970, absent where no use is known. ``raw_data`` is the record as the provider sent it,
    without secret material, and ``unmapped`` every other fact we hold, by the names of our own
    data model; what is null there is left out.
    """
    facts = _clean(msgspec.to_builtins(credential))
    found: dict[str, Any] = {
        "uid": clean(credential.provider_id) or clean(credential.uid),
        "type": clean(credential.type),
        "record_id": clean(credential.uid),
        "raw_data": facts["raw"],
        "unmapped": [
            _unmapped(name, value)
            for name, value in sorted(facts.items())
            if name not in _MAPPED and value is not None
        ],
    }
    if credential.last_used_at is not None:
        found["last_used_time"] = (credential.last_used_at - _EPOCH) // _MILLISECOND
    return found


def _unmapped(name: str, value: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": _TYPES.get(type(value), "JSON"),
        "is_array": isinstance(value, list),
        "value": value,
    }


def _clean(value: Any) -> Any:
    """Return JSON data without lone surrogates, which UTF-8 cannot carry."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {clean(str(name)): _clean(part) for name, part in value.items()}
        case list():
            return [_clean(part) for part in value]
        case _:
            return value
