import pytest

from auditor import log
from auditor.errors import ConfigError
from auditor.secrets import has_reference, is_secret_field, resolve, resolve_all


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(log, "_registered", set())


def test_references_resolve_inside_any_string(tmp_path, monkeypatch):
    monkeypatch.setenv("KEYCARD_HOST", "keycard.example")
    (tmp_path / "token").write_text("CANARY-from-file\n")
    (tmp_path / "token").chmod(0o600)
    raw = {
        "base_url": "https://${env:KEYCARD_HOST}/v1",
        "token": "${file:token}",
        "organizations": ["${env:KEYCARD_HOST}", 3],
    }

    resolved = resolve_all(raw, tmp_path)

    assert {
        "base_url": "https://keycard.example/v1",
        "token": "CANARY-from-file",
        "organizations": ["keycard.example", 3],
    } == resolved


def test_what_a_secret_resolves_to_is_redacted_from_then_on(tmp_path, monkeypatch):
    monkeypatch.setenv("KEYCARD_TOKEN", "CANARY-token")

    resolve("${env:KEYCARD_TOKEN}", tmp_path)

    assert "got [redacted]" == log.redact("got CANARY-token")


def test_a_missing_variable_is_named_with_its_place(tmp_path, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)

    with pytest.raises(ConfigError, match=r"NOT_SET is not set \(in sources\[0\].token\)"):
        resolve_all({"token": "${env:NOT_SET}"}, tmp_path, "sources[0]")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no-such-file.* cannot be read: No such file"):
        resolve("${file:no-such-file}", tmp_path)


@pytest.mark.parametrize("text", ["${TOKEN}", "${vault:x}", "${env:}", "${}"])
def test_an_unknown_kind_of_reference_is_refused(tmp_path, text):
    with pytest.raises(ConfigError, match="is no reference"):
        resolve(text, tmp_path)


def test_only_strings_hold_references():
    assert has_reference("a ${env:B} c")
    assert not has_reference("a $B c")
    assert not has_reference(3)


@pytest.mark.parametrize("name", ["token", "client_secret", "password", "api_key", "private_key"])
def test_secret_fields_are_told_by_name(name):
    assert is_secret_field(name)


@pytest.mark.parametrize("name", ["name", "client_id", "base_url", "organizations", "tokens_seen"])
def test_other_fields_are_not(name):
    assert not is_secret_field(name)
