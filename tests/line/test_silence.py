"""Silence means something: mail when coverage worsens, and once a week whatever happens."""

import pytest
from aiosmtpd.handlers import Message

from auditor.store import Store
from tests.fakes.smtp import AnyPort
from tests.house import House, key


class Letters(Message):
    def __init__(self):
        super().__init__()
        self.subjects: list[str] = []
        self.port = 0

    def handle_message(self, message):
        self.subjects.append(str(message["subject"]).replace("\n", ""))


@pytest.fixture
def letters():
    kept = Letters()
    server = AnyPort(kept, hostname="127.0.0.1", port=0)
    server.start()
    kept.port = server.port
    yield kept
    server.stop()


@pytest.fixture
def house(tmp_path, letters):
    made = House(tmp_path)
    made.extra = (
        "deliveries: [{name: security, channel: email, host: 127.0.0.1, tls: none, attach: [],"
        f" port: {letters.port}, from: a@example.com, to: [s@example.com]}}]"
    )
    made.export(key(1))
    return made


def test_a_healthy_world_is_told_once_a_week(house, letters):
    for _ in range(15):
        house.audit()
        house.later(days=1)
        house.export(key(1, used=house.now.isoformat()))
    assert len(letters.subjects) == 2
    assert letters.subjects[0].startswith("[auditor] All clear")


def test_a_channel_without_a_heartbeat_stays_silent(house, letters):
    house.extra = house.extra.replace("to: [", "heartbeat: null, to: [")
    for _ in range(15):
        house.audit()
        house.later(days=1)
        house.export(key(1, used=house.now.isoformat()))
    assert letters.subjects == []


def test_a_source_that_cannot_be_read_any_more_is_told_once(house, letters):
    house.audit()
    for _ in range(3):
        house.later(days=1)
        (house.root / "exports.json").unlink(missing_ok=True)
        house.audit()
    assert len(letters.subjects) == 1
    assert "1 gap in coverage" in letters.subjects[0]
    house.export(key(1))
    house.audit()
    house.later(hours=1)
    (house.root / "exports.json").unlink()
    house.audit()
    assert len(letters.subjects) == 2


def test_a_known_gap_is_no_news(house, letters):
    house.audit()
    house.extra += "\nknown_gaps: [{source: exports, reason: moving, expires: 2026-12-31}]"
    house.later(days=1)
    (house.root / "exports.json").unlink()
    house.audit()
    assert letters.subjects == []


def test_what_is_found_in_the_first_whole_reading_is_a_baseline(house, letters):
    old = {"created": "2025-01-02T00:00:00Z", "used": "2025-01-03T00:00:00Z"}
    house.export(key(1), key(2, **old))
    _, first = house.audit()
    house.later(days=1)
    house.export(key(1), key(2, **old))
    _, second = house.audit()
    assert [part["is_baseline"] for part in first["coverage"]] == [True]
    assert [part["is_baseline"] for part in second["coverage"]] == [False]
    assert "first look" in letters.subjects[0]
    assert "new" not in letters.subjects[0]
    assert len(letters.subjects) == 1


def test_a_second_source_of_a_known_organization_is_no_first_look(house):
    house.audit()
    house.later(days=1)
    house.sources = ("exports", "more")
    house.export(key(1))
    house.export(key(1), source="more")
    _, report = house.audit()
    assert {part["is_baseline"] for part in report["coverage"]} == {False}


def test_a_run_is_recalled_with_what_had_worsened(house):
    house.audit()
    house.later(days=1)
    (house.root / "exports.json").unlink()
    house.audit()
    from auditor.line.recall import recall  # noqa: PLC0415

    config = house.config()
    with Store.open(config.database_url) as store, recall(store, config, "2") as view:
        assert [part.source for part in view.coverage_worsened] == ["exports"]
    with Store.open(config.database_url) as store, recall(store, config, "1") as view:
        assert view.coverage_worsened == ()
        assert [part.is_baseline for part in view.coverage] == [True]
