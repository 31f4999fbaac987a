"""The columns of the Security Lake table, as Amazon's own sources type them.

Whole numbers are 32 bits but for times and ``type_uid``; objects are structs, free JSON is text,
``unmapped`` is a map of text. Every struct has all its members in every record, because a struct
that changes its shape breaks the table.
"""

from typing import Any

import pyarrow as pa

from auditor.reports.events import EventClass

_TEXT = pa.string()
_NUMBER = pa.int32()
_LONG = pa.int64()
_TEXTS = pa.list_(pa.string())


def _struct(**members: Any) -> Any:
    return pa.struct([pa.field(name.removesuffix("_"), kind) for name, kind in members.items()])


def _times(*names: str) -> dict[str, Any]:
    pairs: dict[str, Any] = {}
    for name in names:
        pairs[name] = _LONG
        pairs[f"{name}_dt"] = pa.timestamp("ms", tz="UTC")
    return pairs


_ORGANIZATION = _struct(uid=_TEXT, name=_TEXT)
_USER = _struct(
    uid=_TEXT, name=_TEXT, type_id=_NUMBER, type_=_TEXT, credential_uid=_TEXT, org=_ORGANIZATION
)
_COMMON: dict[str, Any] = {
    **dict.fromkeys(("activity_id", "category_uid", "class_uid", "severity_id"), _NUMBER),
    **dict.fromkeys(("activity_name", "category_name", "class_name", "severity"), _TEXT),
    "type_uid": _LONG,
    "type_name": _TEXT,
    **dict.fromkeys(("status_id", "confidence_id", "timezone_offset"), _NUMBER),
    **dict.fromkeys(("status", "status_code", "status_detail", "confidence"), _TEXT),
    "message": _TEXT,
    **_times("time"),
    "metadata": _struct(
        version=_TEXT,
        uid=_TEXT,
        correlation_uid=_TEXT,
        event_code=_TEXT,
        tenant_uid=_TEXT,
        profiles=_TEXTS,
        product=_struct(uid=_TEXT, name=_TEXT, vendor_name=_TEXT, version=_TEXT),
        **_times("logged_time"),
    ),
    "cloud": _struct(
        provider=_TEXT,
        account=_struct(uid=_TEXT, name=_TEXT, type_id=_NUMBER, type_=_TEXT),
        org=_ORGANIZATION,
    ),
    "finding_info": _struct(
        uid=_TEXT,
        title=_TEXT,
        desc=_TEXT,
        types=_TEXTS,
        data_sources=_TEXTS,
        src_url=_TEXT,
        analytic=_struct(
            uid=_TEXT, name=_TEXT, desc=_TEXT, category=_TEXT, type_id=_NUMBER, type_=_TEXT
        ),
        **_times("created_time", "first_seen_time", "last_seen_time", "modified_time"),
    ),
    "remediation": _struct(desc=_TEXT, references=_TEXTS),
    "resources": pa.list_(
        _struct(
            uid=_TEXT,
            name=_TEXT,
            type_=_TEXT,
            owner=_USER,
            group=_struct(name=_TEXT, type_=_TEXT),
            data=_TEXT,
        )
    ),
    "observables": pa.list_(_struct(name=_TEXT, type_id=_NUMBER, type_=_TEXT, value=_TEXT)),
    "unmapped": pa.map_(_TEXT, _TEXT),
}
_OWN: dict[EventClass, dict[str, Any]] = {
    EventClass.COMPLIANCE: {
        "compliance": _struct(
            control=_TEXT,
            standards=_TEXTS,
            requirements=_TEXTS,
            status_id=_NUMBER,
            status=_TEXT,
            status_code=_TEXT,
            status_detail=_TEXT,
        )
    },
    EventClass.DETECTION: {
        "risk_level_id": _NUMBER,
        "risk_level": _TEXT,
        "risk_score": _NUMBER,
        "risk_details": _TEXT,
        "evidences": pa.list_(_struct(data=_TEXT, user=_USER)),
    },
}


def table_schema(event_class: EventClass) -> Any:
    """Return the pyarrow schema of one class; a Security Lake source holds one class only."""
    return pa.schema(list((_COMMON | _OWN[event_class]).items()))
