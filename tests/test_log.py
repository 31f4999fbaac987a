import json
import logging

import pytest
import structlog

from auditor import log


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(log, "_registered", set())


def test_a_registered_secret_is_struck_out_in_every_encoding():
    log.register_secret("CANARY/secret+value")

    text = "plain CANARY/secret+value url CANARY%2Fsecret%2Bvalue b64 Q0FOQVJZL3NlY3JldCt2YWx1ZQ=="

    assert "plain [redacted] url [redacted] b64 [redacted]" == log.redact(text)


def test_a_basic_header_is_struck_out():
    log.register_basic("auditor", "CANARY-password")

    assert "CANARY" not in log.redact("Authorization: Basic YXVkaXRvcjpDQU5BUlktcGFzc3dvcmQ=")
    assert "YXVkaXRvc" not in log.redact("header YXVkaXRvcjpDQU5BUlktcGFzc3dvcmQ=")


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_11ABCDEFG0abcdefghijkl",
        "glpat-abcdefghijklmnopqrst",
        "xoxb-123456789012-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
    ],
)
def test_what_is_shaped_like_a_token_is_struck_out(secret):
    assert "seen [redacted] here" == log.redact(f"seen {secret} here")


def test_an_access_key_id_is_an_identifier_and_stays():
    assert "AKIAIOSFODNN7EXAMPLE" == log.redact("AKIAIOSFODNN7EXAMPLE")


def test_the_password_of_a_url_is_struck_out():
    assert "postgresql://[redacted]@host/db" == log.redact("postgresql://me:CANARY@host/db")


def test_short_values_are_not_registered_because_they_occur_by_chance():
    log.register_secret("abc")

    assert "abc abc" == log.redact("abc abc")


@pytest.fixture
def restored_logging():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = before, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("restored_logging")
def test_a_json_line_carries_facts_but_no_secret_and_no_local_variable(capsys):
    log.register_secret("CANARY-secret")
    log.configure(json=True)

    def fail() -> None:
        inner = "CANARY-local-variable"
        raise RuntimeError(f"it said CANARY-secret after {len(inner)} letters")

    try:
        fail()
    except RuntimeError as error:
        structlog.get_logger().error("source.crashed", exc_info=error, token="CANARY-by-name", n=3)

    line = capsys.readouterr().err
    event = json.loads(line)
    assert "source.crashed" == event["event"]
    assert 3 == event["n"]
    assert "[redacted]" == event["token"]
    assert "CANARY" not in line
    assert 1 == line.count("\n")


@pytest.mark.usefixtures("restored_logging")
def test_foreign_loggers_pass_the_same_redaction(capsys):
    log.register_secret("CANARY-secret")
    log.configure(json=True)

    logging.getLogger("some.library").warning("sent %s", "CANARY-secret")
    logging.getLogger("httpx").info("GET https://example.com/?token=CANARY-secret")

    output = capsys.readouterr().err
    assert "sent [redacted]" in output
    assert "CANARY" not in output
    assert "example.com" not in output


@pytest.mark.usefixtures("restored_logging")
def test_a_hostile_name_cannot_forge_a_console_line(capsys):
    log.configure(json=False)

    structlog.get_logger().warning("source.gap", detail="x\nlevel=critical \x1b[31mred")

    output = capsys.readouterr().err
    assert 1 == output.count("\n")
    assert "\x1b" not in output  # nobody looks at it on a terminal
