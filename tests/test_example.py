"""The example configuration, as a newcomer meets it and with its switches on."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from auditor.cli import main
from auditor.config import load_config
from tests.fakes.aws import KEY_ID, SECRET, FakeAws
from tests.fakes.keycard import FakeKeycard
from tests.fakes.smtp import AnyPort

ROOT = Path(__file__).parents[1]
TOKEN = "CANARY-static-token-55aa"
EXTERNAL_ID = "canary-external-id"


def uncommented(text: str) -> str:
    """Switch on every commented setting; two marks stay a comment."""
    return re.sub(r"(?m)^# ", "", text)


class Mailbox:
    """Keeps what a real SMTP server on loopback accepts."""

    def __init__(self) -> None:
        self.letters: list[bytes] = []
        self.port = 0

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        self.letters.append(envelope.content)
        return "250 Message accepted for delivery"


@pytest.fixture
def mailbox():
    kept = Mailbox()
    controller = AnyPort(kept, hostname="127.0.0.1", port=0, ready_timeout=10)
    controller.start()
    kept.port = controller.given
    yield kept
    controller.stop()


@pytest.fixture
def keycard():
    fake = FakeKeycard(token=TOKEN)
    fake.add_organization("org-1", "acme", "Acme")
    fake.add_account("org-1", "sa-1", "ci")
    fake.add_credential("sa-1", "c-1")
    fake.add_credential("sa-1", "c-2")
    with fake.server() as server:
        yield server


@pytest.fixture
def aws():
    fake = FakeAws(datetime.now(UTC).replace(microsecond=0))
    fake.account("123456789012", name="Management", role=None)
    fake.account("210987654321", name="Member", external_id=EXTERNAL_ID)
    for account in fake.accounts.values():
        account.user("ci", fake.clock - timedelta(days=9))
        account.key("ci", fake.clock - timedelta(days=9))
    with fake.server() as server:
        yield server


@pytest.fixture
def home(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def test_the_example_has_four_organizations_and_more_than_200_credentials(home, capsys):
    shutil.copy(ROOT / "config.example.yaml", home)

    code = main(["--log-level", "error", "audit", "-c", str(home / "config.example.yaml")])

    report = json.loads((home / "reports" / "report-1.json").read_text())
    assert code == 0
    assert 4 == len({part["organization"]["id"] for part in report["coverage"]})
    assert report["summary"]["credentials"] >= 200
    assert "2026-03-01T03:00:00Z" == report["run"]["now"]
    assert "Deal with these first" in capsys.readouterr().out


def test_every_switch_of_the_example_works(home, keycard, aws, mailbox, monkeypatch, capsys):
    monkeypatch.setenv("KEYCARD_TOKEN", TOKEN)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AUDITOR_EXTERNAL_ID", EXTERNAL_ID)
    text = uncommented((ROOT / "config.example.yaml").read_text())
    text = text.replace("https://api.keycard.ai", keycard.url)
    text = text.replace("role_name: Auditor", f"role_name: Auditor\n    endpoint_url: {aws.url}")
    text = text.replace("smtp.example.com", "127.0.0.1").replace("587", str(mailbox.port))
    text = re.sub(r"(?m)^ *(username|password): .*\n", "", text).replace(
        "tls: starttls ", "tls: none "
    )
    path = home / "config.yaml"
    path.write_text(text)
    (home / "exceptions.yaml").write_text("exceptions: []\n")
    (home / "reviews.yaml").write_text("reviews: []\n")
    (home / "people.csv").write_text("email,status\njo@nowhere.example,active\n")
    config = load_config(path)

    code = main(["--log-level", "error", "audit", "-c", str(path)])

    printed = capsys.readouterr()
    assert code == 0, printed
    assert ["nightly"] == [schedule.name for schedule in config.layout.schedules]
    report = json.loads((home / "reports" / "report-1.json").read_text())
    (live,) = [part for part in report["coverage"] if part["source"] == "keycard-prod"]
    assert ("complete", 2) == (live["status"], live["credentials"])
    accounts = [part for part in report["coverage"] if part["source"] == "aws-prod"]
    assert [("complete", 1)] * 2 == [(one["status"], one["credentials"]) for one in accounts]
    (letter,) = mailbox.letters
    mail = message_from_bytes(letter, policy=policy.default)
    assert "security@example.com" == mail["To"]
    assert "1 critical" in mail["Subject"]
    assert TOKEN.encode() not in letter
