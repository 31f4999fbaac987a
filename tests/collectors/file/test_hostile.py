"""Names that attack, values of every wrong type, secrets where none should be."""

import csv
import io
import json

import msgspec
import pytest

from auditor.model import Credential, LastUsedState

NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}} ${7*7} <%= 7*7 %>",
    '=HYPERLINK("http://x","y")',
    "\t=1",
    "\r=1",
    "\uff1d1",
    'quoted, ""double"", and, commas; semicolons',
    "a\r\nBcc: evil@x",
    "a\u2028b\u0085c",
    "\x1b[31mred\x1b]0;title\x07",
    "'; DROP TABLE finding;--",
    "NULL",
    "NaN",
    "../../etc/passwd",
    "x" * 10_000,
    "\u202eright to left",
    "e\u0301" * 500,
    "\u0430dmin",
    "日本語 🔑",
    "\x7f",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", ["name", "description", "owner", "type", "client_id"])
@pytest.mark.parametrize("is_ascii", [True, False])
def test_hostile_text_arrives_as_it_is(read, record, name, field, is_ascii) -> None:
    line = json.dumps(record(**{field: name}), ensure_ascii=is_ascii) + "\n"
    outcome = read(line, name="export.ndjson")
    assert getattr(outcome.only, field) == name
    assert outcome.gaps == []


@pytest.mark.parametrize("name", NAMES)
def test_hostile_text_passes_through_a_table_without_the_space_around_it(read, name) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["id", "name"], ["1", name]])
    assert read(out.getvalue(), name="t.csv").only.name == name.strip()


@pytest.mark.parametrize("field", ["id", "name"])
@pytest.mark.parametrize("name", [name for name in NAMES if len(name) <= 1000])
def test_hostile_identities_of_every_part_arrive(read, record, field, name) -> None:
    whole = {"id": "x", "name": "y"} | {field: name}
    credential = read([record(organization=whole, principal=whole)]).only
    assert getattr(credential.organization, field) == name
    assert getattr(credential.principal, field) == name


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
@pytest.mark.parametrize("name", ["export.ndjson", "export.json"])
def test_what_no_database_holds_is_replaced(read, record, text, name) -> None:
    records = record(name=text, tags={text: text}, raw={text: text})
    outcome = read(json.dumps(records) + "\n", name=name)
    assert outcome.only.name == "a\ufffdb"
    assert msgspec.json.decode(msgspec.json.encode(outcome.only))["raw"] == {"a\ufffdb": "a\ufffdb"}


def test_bytes_that_are_no_utf_8_are_replaced(read, record) -> None:
    content = json.dumps([record(name="M?ller")]).replace("?", "\udcfc")
    for name in ("export.json", "export.ndjson"):
        outcome = read(content[1:-1].encode("utf-8", "surrogateescape"), name=name)
        assert outcome.only.name == "M\ufffdller"
        assert ["1 text holds bytes" in note.text for note in outcome.notes] == [True]


@pytest.mark.parametrize("name", ["export.json", "export.ndjson", "export.csv"])
def test_ids_that_are_no_utf_8_are_lost_rather_than_taken_for_one_another(read, name) -> None:
    content = '[{"id": "\xe4"},\n{"id": "\xf6"},\n{"id": "o"}]'
    if name.endswith("ndjson"):
        content = content[1:-1].replace(",\n", "\n")
    elif name.endswith("csv"):
        content = "id,name\n\xe4,a\n\xf6,b\no,c\n"
    outcome = read(content.encode("latin-1"), name=name)
    assert outcome.only.provider_id == "o"
    assert len(outcome.gaps) == 2
    assert outcome.messages.count("holds bytes that are no UTF-8") == 2


def test_a_table_in_another_encoding_names_the_option(read) -> None:
    outcome = read("Schl\xfcssel\n1\n".encode("latin-1"), columns={"id": "Schl\xfcssel"})
    assert "`encoding`" in str(outcome.error)


TYPES = [2**63, -1, 0, 1.5, True, [], {}, ["x"], {"a": {"b": []}}, "", "12", None]


@pytest.mark.parametrize("value", TYPES)
@pytest.mark.parametrize("field", sorted(set(Credential.__struct_fields__) | {"id"}))
def test_any_type_in_any_field_costs_at_most_its_record(read, record, field, value) -> None:
    content = "".join(json.dumps(r) + "\n" for r in (record("1") | {field: value}, record("2")))
    outcome = read(content, name="export.ndjson")
    assert outcome.error is None
    assert outcome.credentials[-1].provider_id == "2"
    for credential in outcome.credentials:
        msgspec.msgpack.encode(credential)
        again = msgspec.json.decode(msgspec.json.encode(credential), type=Credential)
        assert again == credential


@pytest.mark.parametrize(
    "instant",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31",
        "9999-12-31T23:59:59-14:00",
        "2026-02-30T00:00:00Z",
        "2026-01-01T00:00:00+14:00",
        "1e999",
        "",
        " ",
        "-",
        "T",
        "2026-01-01T00:00:00+99:99",
    ],
)
def test_any_time_in_any_field_is_survived(read, record, instant) -> None:
    fields = [f for f in Credential.__struct_fields__ if f.endswith(("_at", "_as_of", "_start"))]
    outcome = read([record(str(n), **{field: instant}) for n, field in enumerate(fields)])
    assert outcome.error is None
    assert len(outcome.credentials) == len(fields)
    for credential in outcome.credentials:
        assert (credential.last_used_at is None) == (
            credential.last_used_state is not LastUsedState.USED
        )


def test_deep_nesting_costs_its_record_alone(read, record) -> None:
    deep = json.dumps(record("1", raw={"a": 1})).replace('{"a": 1}', '{"a":' * 30 + "1" + "}" * 30)
    deeper = '{"a":' * 10_000 + "1" + "}" * 10_000
    content = "\n".join([deep, deeper, json.dumps(record("3"))])
    outcome = read(content, name="export.ndjson")
    assert [c.name for c in outcome.credentials] == ["1", "3"]
    assert len(outcome.gaps) == 1


def test_numbers_without_bounds_are_kept_as_text_or_dropped(read, record) -> None:
    line = json.dumps(record(raw={"big": 0, "inf": 1})).replace("0}", str(10**30))
    line = line.replace('"big": 0', f'"big": {10**30}').replace('"inf": 1', '"inf": 1e999')
    outcome = read(line, name="export.ndjson")
    assert outcome.only.raw == {"big": str(10**30), "inf": None}


def test_of_two_equal_keys_the_last_counts_on_every_way(read, record) -> None:
    line = json.dumps(record())[:-1] + ', "name": "last"}'
    assert read(line, name="export.ndjson").only.name == "last"
    assert read(f"[{line}]").only.name == "last"


SECRETS = [
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_0123456789abcdefghijAB",
    "glpat-0123456789abcdefghij",
    "xoxb-0123456789-abcdef",
    "sk-0123456789abcdefghijABCD",
    "sk_live_0123456789abcdefghij",
    "AIza0123456789abcdefghijABCDEFGHIJ012345678",
    "hvs.0123456789abcdefghijABCD",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
    "https://user:hunter2@example.com/",
    "prefix_ghp_0123456789abcdefghijABCDEFGHIJ012345",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", ["plain", "escaped", "slashes", "document", "pretty"])
def test_what_is_shaped_like_a_secret_never_enters(read, record, secret, form) -> None:
    leaky = record(
        description=secret,
        owner=secret,
        tags={"note": secret, "team": "web"},
        raw={"list": [secret], "inner": {"value": secret, secret: 1}},
        restrictions={"value": secret},
        permissions={"zones": {secret: True, "read": True}},
    )
    text = json.dumps(leaky)
    if form == "escaped":
        letter = secret[len(secret) // 2]
        text = text.replace(secret, secret.replace(letter, f"\\u{ord(letter):04x}"))
    elif form == "slashes":
        text = text.replace("/", "\\/")
    elif form in ("document", "pretty"):
        text = json.dumps([leaky], indent=2 if form == "pretty" else None)
    name = "export.json" if form in ("document", "pretty") else "export.ndjson"
    outcome = read(text, name=name)
    assert secret not in msgspec.json.encode(outcome.only).decode()
    assert secret.split("://user:")[-1] not in repr(outcome)
    assert outcome.only.tags == {"team": "web"}
    assert outcome.only.permissions == {"zones": {"read": True}}
    assert "shaped like secret material" in outcome.notes[0].text


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_as_identity_costs_the_record(read, record, secret) -> None:
    outcome = read([record("1") | {"uid": f"acme:o:key:{secret}"}, record("2")])
    assert [c.name for c in outcome.credentials] == ["2"]
    assert "shaped like a secret" in outcome.messages
    assert secret not in repr(outcome)


def test_keys_that_name_secrets_are_dropped_with_their_values(read, record) -> None:
    hidden = {
        "client_secret": "CANARY-1",
        "Password": "CANARY-2",
        "api_key": "CANARY-3",
        "apiKey": "CANARY-4",
        "x": {"private_key": "CANARY-5"},
        "secretText": "CANARY-6",
        "access_token": "CANARY-7",
        "kept_id": "fine",
    }
    tags = {k: v for k, v in hidden.items() if isinstance(v, str)}
    outcome = read([record(raw=hidden, restrictions=hidden, tags=tags)])
    assert "CANARY" not in repr(outcome)
    assert outcome.only.raw == {"x": {}, "kept_id": "fine"}
    assert outcome.only.tags == {"kept_id": "fine"}


def test_access_key_ids_and_ordinary_words_are_no_secrets(read, record) -> None:
    names = ["AKIAIOSFODNN7EXAMPLE", "task-force-alpha-one-two-three", "https://example.com/a?b=c"]
    outcome = read([record(str(n), description=name) for n, name in enumerate(names)])
    assert [c.description for c in outcome.credentials] == names
    assert outcome.notes == []


def test_a_mapped_column_of_secrets_leaks_into_nothing(read) -> None:
    content = f"id,token,state\n1,{SECRETS[0]},{SECRETS[0]}\n"
    columns = {"id": "id", "description": "token", "status": "state", "tags.token": "token"}
    outcome = read(content, name="t.csv", columns=columns)
    assert SECRETS[0] not in repr(outcome)
    assert "status is none of" in outcome.messages
    outcome = read(content, name="t.csv", columns={"id": "token"})
    assert SECRETS[0] not in repr(outcome)
    assert outcome.error is not None
