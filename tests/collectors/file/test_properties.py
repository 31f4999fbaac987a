"""Generated records: both readings agree, and nothing but a credential or a gap comes out."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.collectors._file import normalized, patient, scrub
from auditor.collectors._file.session import Problem, Session
from auditor.model import Credential, Organization, Principal

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)
HEAD = normalized.Head(data_as_of=NOW)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
instants = st.datetimes(
    datetime(1980, 1, 1),  # noqa: DTZ001 - the zone follows
    datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC) | st.timezones(),
).map(lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000).isoformat())
texts = st.text(max_size=12)


def words(*choices: str) -> st.SearchStrategy[str]:
    return st.sampled_from(choices)


good_fields: dict[str, st.SearchStrategy[Any]] = {
    "organization": st.fixed_dictionaries({"id": texts, "name": texts}),
    "principal": st.fixed_dictionaries({"id": st.text(min_size=1), "name": st.text(min_size=1)}),
    "status": words("active", "inactive", "expired", "revoked", "unknown"),
    "created_at": instants,
    "rotated_at": instants,
    "last_used_at": instants,
    "last_used_state": words("used", "never", "not_in_window", "unknown"),
    "last_used_precision": words("PT15M", "P1D"),
    "data_as_of": instants,
    "expires_at": instants,
    "expires_state": words("at", "never", "sliding", "unsupported", "unknown"),
    "permissions": st.dictionaries(texts, st.dictionaries(texts, st.booleans())),
    "permissions_subject": words("credential", "principal", "caller", "unknown"),
    "privilege": words("admin", "write", "read", "none", "unknown"),
    "owner": texts,
    "tags": st.dictionaries(texts, texts, max_size=3),
    "restrictions": st.dictionaries(texts, json_values, max_size=3),
    "key_bits": st.integers(0, 10_000),
    "raw": st.dictionaries(texts, json_values, max_size=3),
}
good = st.fixed_dictionaries(
    {"uid": st.text(min_size=1), "provider": st.just("acme"), "name": texts, "type": st.just("K")},
    optional=good_fields,
)
bad = st.fixed_dictionaries(
    {"uid": st.text(min_size=1) | json_values},
    optional={field: json_values | values for field, values in good_fields.items()},
)


def session() -> Session:
    return Session("exports", NOW, Organization("exports", "exports"), Principal("u", "u"))


@settings(max_examples=300, deadline=None)
@given(good)
def test_the_patient_reading_agrees_with_the_fast_one_wherever_that_answers(record: Any) -> None:
    source = json.dumps(record).encode()
    fast = normalized.from_json(source, HEAD, session())
    if fast is None or scrub.may_hold_secret(source):  # the collector asks this first
        return
    events = list(patient.read(json.loads(source), 1, HEAD, session()))
    assert [event for event in events if isinstance(event, Credential)] == [fast]


@settings(max_examples=300, deadline=None)
@given(bad)
def test_any_record_gives_a_storable_credential_or_a_problem(record: Any) -> None:
    events = list(patient.read(record, 1, HEAD, session()))
    assert events
    for event in events:
        if isinstance(event, Credential):
            again = msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=Credential)
            assert again.uid == event.uid
            for field in ("created_at", "last_used_at", "data_as_of", "expires_at"):
                value = getattr(event, field)
                assert value is None or value.tzinfo is UTC
        else:
            assert isinstance(event, Problem)
