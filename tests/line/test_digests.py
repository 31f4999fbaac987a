"""One mail a week tells the week: through the whole line, over a real SMTP server."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from auditor.delivery.interface import Parcel
from auditor.line.recall import recall
from auditor.line.setting import open_channels
from auditor.store import Store
from tests.fakes.smtp import AnyPort
from tests.house import DORMANT, House, key

FRIDAY = datetime(2026, 3, 6, 3, tzinfo=UTC)


class Letters:
    """What arrived, as it arrived."""

    def __init__(self):
        self.bodies: list[tuple[str, bytes]] = []
        self.port = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope):  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        self.bodies.append((envelope.rcpt_tos[0], content))
        return "250 OK"

    @property
    def mails(self):
        return [message_from_bytes(body, policy=policy.default) for _, body in self.bodies]

    @property
    def subjects(self):
        return [str(mail["Subject"]) for mail in self.mails]


def text_of(mail):
    return mail.get_body(("plain",)).get_content().replace("\r\n", "\n")


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
    made.now = FRIDAY
    made.extra = (
        "deliveries: [{name: security, channel: email, host: 127.0.0.1, tls: none, attach: [],"
        f" port: {letters.port}, from: a@example.com, to: [s@example.com], digest: weekly}}]"
    )
    return made


def night(house, *credentials, **order):
    """Audit what is there tonight, and let a day go by."""
    house.export(*credentials)
    house.audit(**order)
    house.later(days=1)


def used_today(house, number):
    return key(number, used=house.now.isoformat())


def test_a_week_is_told_on_its_first_night_by_its_ends(house, letters):
    night(
        house, used_today(house, 1), key(2, **DORMANT), key(3, **DORMANT)
    )  # Friday: the first look
    assert len(letters.subjects) == 1
    assert letters.subjects[0].startswith("[auditor] Weekly digest: ")
    letters.bodies.clear()

    night(house, used_today(house, 1), key(2, **DORMANT), key(3, **DORMANT))
    night(house, used_today(house, 1), key(2, **DORMANT), key(3, **DORMANT))
    night(house, used_today(house, 1), key(2, **DORMANT), key(3, **DORMANT))  # Monday: nothing new
    assert letters.subjects == []

    night(house, used_today(house, 1), key(2, **DORMANT), key(3, **DORMANT), key(4, **DORMANT))
    night(house, used_today(house, 1), key(2, **DORMANT), key(4, **DORMANT), key(5, **DORMANT))
    night(house, used_today(house, 1), key(2, **DORMANT), key(5, **DORMANT))
    for _ in range(3):
        night(house, used_today(house, 1), key(2, **DORMANT), key(5, **DORMANT))
    assert letters.subjects == []
    night(
        house, used_today(house, 1), key(2, **DORMANT), key(5, **DORMANT), key(6, **DORMANT)
    )  # Monday

    (mail,) = letters.mails
    assert "2 new, 1 fixed, 1 opened and fixed in between" in mail["Subject"]
    said = text_of(mail)
    assert "Since the digest of 9 Mar 2026 (7 runs): 2 new, 1 fixed" in said
    assert "1 still open from before" in said
    new, fixed, passed = (
        said.split(f"\n{title}\n")[1].split("\n\n")[0]
        for title in ("NEW", "FIXED", "OPENED AND FIXED IN BETWEEN")
    )
    assert ("key-5" in new, "key-6" in new, "key-4" in new) == (True, True, False)
    assert "key-3" in fixed
    assert "key-4" in passed
    assert "in between" in mail.get_body(("html",)).get_content()


def test_what_was_fixed_and_came_back_is_told_as_back(house, letters):
    night(house, key(1, **DORMANT))
    letters.bodies.clear()
    for _ in range(3):
        night(house, used_today(house, 1))  # fixed over the weekend, Monday included
    (fixed,) = letters.mails
    assert "1 fixed" in fixed["Subject"]
    letters.bodies.clear()
    night(house, key(1, **DORMANT))
    night(house, used_today(house, 1))
    night(house, key(1, **DORMANT))
    for _ in range(4):
        night(house, key(1, **DORMANT))
    (back,) = letters.mails
    assert "1 new" in back["Subject"]
    assert "fixed" not in back["Subject"]
    assert "Came back" in text_of(back)


def test_the_week_begins_by_the_channels_own_clock(house, letters):
    house.extra = house.extra.replace("weekly", "weekly, timezone: America/New_York, when: always")
    for _ in range(5):  # Monday 03:00 in UTC is Sunday evening in New York
        night(house, key(1, **DORMANT))
    days = [mail["Date"].datetime.date().isoformat() for mail in letters.mails]
    assert days == ["2026-03-06", "2026-03-10"]


@pytest.mark.parametrize(
    ("every", "days"), [("daily", ["06", "07", "08"]), ("monthly", ["06", "01"])]
)
def test_a_period_is_told_once_however_often_a_day_is_audited(house, letters, every, days):
    house.extra = house.extra.replace("weekly", f"{every}, when: always")
    steps = 9 if every == "daily" else 29
    for _ in range(steps):
        house.export(key(1, **DORMANT))
        house.audit()
        house.later(hours=8 if every == "daily" else 24)
    assert [f"{mail['Date'].datetime.day:02}" for mail in letters.mails] == days


def test_gaps_of_the_week_are_told_though_it_ended_well(house, letters):
    night(house, used_today(house, 1))
    for _ in range(3):
        night(house, used_today(house, 1))
    letters.bodies.clear()
    (house.root / "exports.json").unlink()
    house.audit()
    house.later(days=1)
    for _ in range(6):
        night(house, used_today(house, 1))
    (mail,) = letters.mails
    said = text_of(mail)
    assert "NOT READ WHOLE IN BETWEEN" in said
    assert "- exports / Acme: in 1 run" in said


def test_a_run_that_was_not_offered_neither_triggers_nor_swallows_a_digest(house, letters):
    night(house, key(1, **DORMANT))
    letters.bodies.clear()
    night(house, key(1, **DORMANT))
    night(house, key(1, **DORMANT))
    house.export(key(1, **DORMANT), key(2, **DORMANT))
    house.audit(deliver=False)  # Monday, by hand
    house.later(hours=1)
    assert letters.subjects == []
    house.audit()
    (mail,) = letters.mails
    assert "1 new" in mail["Subject"]


def test_every_owner_gets_a_digest_of_their_own(house, letters):
    house.extra = house.extra.replace(
        "digest:", "per_owner: true, owner_domains: [example.com], digest:"
    )

    def owned(number, name, **changes):
        return key(number, owner=f"{name}@example.com", **changes)

    night(house, owned(1, "anna"), owned(2, "bert"))
    for _ in range(2):
        night(house, owned(1, "anna"), owned(2, "bert"))
    night(house, owned(1, "anna"), owned(2, "bert"))
    letters.bodies.clear()
    night(house, owned(1, "anna"), owned(2, "bert"), owned(3, "bert", **DORMANT))
    for _ in range(6):
        night(house, owned(1, "anna"), owned(2, "bert"))
    recipients = [recipient for recipient, _ in letters.bodies]
    assert recipients == ["s@example.com", "bert@example.com"]
    (_, mine) = letters.mails
    assert "Weekly digest: Your credentials" in mine["Subject"]
    assert "1 opened and fixed in between" in mine["Subject"]
    assert "key-3" in text_of(mine)


def test_a_digest_can_be_shown_again_to_the_byte(house, letters):
    night(house, key(1, **DORMANT))
    letters.bodies.clear()
    night(house, key(1, **DORMANT), key(2, **DORMANT))
    night(house, key(1, **DORMANT))
    night(house, key(1, **DORMANT), key(3, **DORMANT))  # Monday
    night(house)
    ((_, sent),) = letters.bodies
    config = house.config()
    (channel,) = open_channels(config, ["security"])
    with Store.open(config.database_url) as store:
        with recall(store, config, "4") as view:
            (parcel,) = channel.parcels(view)
            assert channel.render(view, parcel) == sent
        with recall(store, config, "5") as view:
            assert channel.parcels(view) == []
            late = Parcel("s@example.com", "<x@example.com>", view.run.finished_at)
            assert b"Weekly digest" not in channel.render(view, late)
