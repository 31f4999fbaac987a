"""Every occurrence once, through clock changes, downtime and clocks that jump."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.schedule import Plan, ScheduleOptions, due, next_occurrence
from auditor.schedule.occurrences import _planned, instant


def plan(**timing) -> Plan:
    return ScheduleOptions.model_validate({"name": "nightly", **timing}).plan


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(schedule: Plan, start: datetime, end: datetime) -> list[tuple[str, datetime]]:
    found = []
    after = start
    while (occurrence := next_occurrence(schedule, after)) and occurrence.planned_at < end:
        found.append((occurrence.key, occurrence.planned_at))
        after = occurrence.planned_at
    return found


CHANGES = [
    *(
        ("America/New_York", wall, day)
        for wall in ("00:00", "00:30", "01:30", "02:30")
        for day in ("2026-03-08", "2026-11-01")
    ),
    *(
        ("Europe/Berlin", wall, day)
        for wall in ("00:30", "02:30")
        for day in ("2026-03-29", "2026-10-25")
    ),
    ("Europe/London", "01:00", "2026-03-29"),
    ("Europe/London", "01:00", "2026-10-25"),
    ("Australia/Lord_Howe", "01:45", "2026-04-05"),
    ("Africa/Cairo", "00:00", "2026-04-24"),
    ("Africa/Casablanca", "02:30", "2026-03-22"),
    ("America/Nuuk", "23:30", "2026-03-28"),  # the gap reaches to midnight
    ("America/Nuuk", "00:00", "2026-03-29"),
]


def is_planned_or_after_a_gap(key: str, at: datetime, zone: ZoneInfo) -> bool:
    """Whether the clocks show *key* at that instant, or jump over it to that instant."""
    planned = datetime.fromisoformat(key)
    shown, before = (
        moment.astimezone(zone).replace(tzinfo=None)
        for moment in (at, at - timedelta(microseconds=1))
    )
    return shown == planned or before < planned < shown


@pytest.mark.parametrize(("zone", "wall", "day"), CHANGES)
@pytest.mark.parametrize("key", ["daily", "cron"])
def test_a_clock_change_gives_exactly_one_run_for_every_local_date(zone, wall, day, key):
    hour, minute = wall.split(":")
    timing = wall if key == "daily" else f"{int(minute)} {int(hour)} * * *"
    middle = date.fromisoformat(day)
    start = datetime(middle.year, middle.month, middle.day, tzinfo=UTC) - timedelta(days=4)

    found = between(plan(**{key: timing, "timezone": zone}), start, start + timedelta(days=8))

    dates = [date.fromisoformat(key[:10]) for key, _ in found]
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(dates))
    assert {middle - timedelta(days=1), middle, middle + timedelta(days=1)} <= set(dates)
    assert all(key.endswith(wall) for key, _ in found)
    assert all(is_planned_or_after_a_gap(name, at, ZoneInfo(zone)) for name, at in found)


@pytest.mark.parametrize(
    ("zone", "wall", "at"),
    [
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00"),  # gap: 03:00 EDT
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),  # ambiguous: EDT, the first
        ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00"),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/London", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("Europe/London", "2026-10-25T01:00", "2026-10-25T00:00"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),  # repeats 01:30 to 02:00
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30"),  # a gap of 30 minutes
        ("Africa/Cairo", "2026-04-24T00:00", "2026-04-23T22:00"),  # midnight does not exist
        ("Africa/Casablanca", "2026-03-22T02:30", "2026-03-22T02:00"),
        ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"),  # a whole day does not exist
        ("America/New_York", "2026-07-01T12:00", "2026-07-01T16:00"),
    ],
)
def test_a_wall_time_is_one_instant(zone, wall, at):
    assert instant(datetime.fromisoformat(wall), ZoneInfo(zone)) == utc(at)


def test_the_day_after_the_spring_change_is_not_lost():
    found = between(
        plan(daily="00:30", timezone="America/New_York"), utc("2026-03-07"), utc("2026-03-12")
    )
    assert [key for key, _ in found] == [f"2026-03-{day:02}T00:30" for day in (7, 8, 9, 10, 11)]


def test_times_that_a_gap_folds_into_one_instant_run_once():
    found = between(
        plan(cron="*/15 2-3 * * *", timezone="Europe/Berlin"), utc("2026-03-29"), utc("2026-03-30")
    )
    assert [key[11:] for key, _ in found] == ["02:00", "03:15", "03:30", "03:45"]


def test_an_hourly_schedule_follows_real_time_through_both_changes():
    hourly = plan(cron="30 * * * *", timezone="Europe/Berlin")
    for day in ("2026-03-29", "2026-10-25"):
        found = between(hourly, utc(day), utc(day) + timedelta(hours=6))
        assert [at for _, at in found] == [
            utc(day) + timedelta(hours=n, minutes=30) for n in range(6)
        ]
        assert found[0][0] == f"{day}T00:30:00Z"


def test_a_half_hour_shift_keeps_a_quarter_hourly_schedule_even():
    found = between(
        plan(cron="*/15 * * * *", timezone="Australia/Lord_Howe"),
        utc("2026-10-03T12:00"),
        utc("2026-10-03T18:00"),
    )
    gaps = {later - earlier for (_, earlier), (_, later) in pairwise(found)}
    assert gaps == {timedelta(minutes=15)}


def test_an_interval_keeps_its_grid_whatever_restarts_and_clocks_do():
    every = plan(every="6h", timezone="Europe/Berlin")
    found = between(every, utc("2026-03-28T13:00"), utc("2026-03-29T13:00"))
    assert [key for key, _ in found] == [
        "2026-03-28T18:00:00Z",
        "2026-03-29T00:00:00Z",
        "2026-03-29T06:00:00Z",
        "2026-03-29T12:00:00Z",
    ]


def test_nothing_is_due_before_its_time_and_everything_at_it():
    nightly = plan(daily="03:00")
    last = utc("2026-03-01T03:00")
    assert due(nightly, last, utc("2026-03-02T02:59:59")).run is None
    answer = due(nightly, last, utc("2026-03-02T03:00"))
    assert answer.run is not None
    assert answer.run.key == "2026-03-02T03:00"
    assert not answer.is_catch_up
    assert answer.missed == ()


def test_downtime_is_caught_up_once_and_older_ones_are_missed():
    answer = due(plan(daily="03:00"), utc("2026-03-01T03:00"), utc("2026-03-05T09:00"))
    assert answer.run is not None
    assert answer.run.key == "2026-03-05T03:00"
    assert answer.is_catch_up
    assert [missed.key[:10] for missed in answer.missed] == [
        "2026-03-02",
        "2026-03-03",
        "2026-03-04",
    ]
    assert not answer.missed_more


def test_a_year_of_downtime_of_a_minutely_schedule_is_counted_in_bounds():
    answer = due(plan(cron="* * * * *"), utc("2025-03-01"), utc("2026-03-01T09:00:30"))
    assert answer.run is not None
    assert answer.run.key == "2026-03-01T09:00:00Z"
    assert len(answer.missed) == 50
    assert answer.missed_more


def test_a_yearly_schedule_is_caught_up_after_years():
    answer = due(plan(cron="0 3 1 1 *"), utc("2020-01-01T03:00"), utc("2026-06-01"))
    assert answer.run is not None
    assert answer.run.key == "2026-01-01T03:00"
    assert len(answer.missed) == 5


def test_a_new_wall_time_schedule_waits_and_a_new_interval_begins():
    now = utc("2026-03-01T04:00")
    assert due(plan(daily="03:00"), None, now).run is None
    answer = due(plan(every="6h"), None, now)
    assert answer.run is not None
    assert answer.run.key == "2026-03-01T00:00:00Z"
    assert answer.missed == ()


def test_jitter_is_bounded_and_the_same_every_time():
    spread = set()
    for day in range(1, 29):
        after = utc(f"2026-02-{day:02}T00:00")
        first = next_occurrence(plan(daily="03:00", jitter="30m"), after)
        again = next_occurrence(plan(daily="03:00", jitter="30m"), after)
        assert first == again
        assert first is not None
        late = first.starts_at - first.planned_at
        assert timedelta(0) <= late < timedelta(minutes=30)
        spread.add(late)
    assert len(spread) > 20


def test_jitter_never_reaches_the_next_occurrence():
    schedule = plan(every="1m", jitter="1h")
    after = utc("2026-03-01")
    for _ in range(50):
        occurrence = next_occurrence(schedule, after)
        assert occurrence is not None
        assert occurrence.starts_at < occurrence.planned_at + timedelta(minutes=1)
        after = occurrence.planned_at


def test_an_occurrence_waits_for_its_jitter():
    schedule = plan(daily="03:00", jitter="30m")
    last = utc("2026-03-01T03:00")
    expected = next_occurrence(schedule, last)
    assert expected is not None
    assert due(schedule, last, expected.starts_at - timedelta(seconds=1)).run is None
    assert due(schedule, last, expected.starts_at).run == expected


def test_what_falls_into_a_recurring_blackout_starts_at_its_end():
    schedule = plan(
        daily="03:00",
        timezone="Europe/Berlin",
        blackouts=[{"from": "22:00", "to": "06:00", "days": "sat"}],
    )
    saturday = next_occurrence(schedule, utc("2026-03-07T00:00"))
    sunday = next_occurrence(schedule, utc("2026-03-08T00:00"))
    assert saturday is not None
    assert sunday is not None
    assert saturday.starts_at == saturday.planned_at
    assert sunday.key == "2026-03-08T03:00"
    assert sunday.starts_at == utc("2026-03-08T05:00")


def test_a_long_blackout_is_caught_up_once_at_its_end():
    schedule = plan(daily="03:00", blackouts=[{"from": date(2026, 12, 24), "to": "2027-01-02"}])
    last = utc("2026-12-23T03:00")
    assert due(schedule, last, utc("2027-01-01T23:59")).run is None
    answer = due(schedule, last, utc("2027-01-02T00:00"))
    assert answer.run is not None
    assert answer.run.key == "2027-01-01T03:00"
    assert len(answer.missed) == 8


def test_a_blackout_across_the_gap_ends_when_its_hour_first_exists():
    schedule = plan(
        daily="01:00", timezone="Europe/Berlin", blackouts=[{"from": "00:00", "to": "02:30"}]
    )
    occurrence = next_occurrence(schedule, utc("2026-03-28T12:00"))
    assert occurrence is not None
    assert occurrence.starts_at == utc("2026-03-29T01:00")


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(sorted(available_timezones())),
    start=st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1)),  # noqa: DTZ001
    expression=st.sampled_from(
        ["0 3 * * *", "30 0 * * mon-fri", "15,45 */6 * * *", "*/20 * * * *", "0 0 29 2 *"]
    ),
)
def test_walking_in_steps_finds_the_same_occurrences_as_one_leap(zone, start, expression):
    schedule = plan(cron=expression, timezone=zone)
    begin = start.replace(tzinfo=UTC)
    end = begin + timedelta(days=3)
    walked = []
    last = begin
    now = begin
    while now < end:
        now += timedelta(hours=7)
        answer = due(schedule, last, now)
        if answer.run is not None:
            walked += [occurrence.key for occurrence in (*answer.missed, answer.run)]
            last = answer.run.planned_at
    assert walked == [key for key, _ in between(schedule, begin, now + timedelta(microseconds=1))]
    assert len(walked) == len(set(walked))


END = utc("2026-12-29")


@pytest.mark.slow
@pytest.mark.parametrize("quarter", range(96))
def test_every_zone_has_one_run_on_every_local_date_of_a_year(quarter):
    wall = f"{quarter // 4:02}:{quarter % 4 * 15:02}"
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        schedule = plan(daily=wall, timezone=name)
        found = [*takewhile(lambda at: at[0] < END, _planned(schedule, utc("2026-01-03")))]
        days = [date.fromisoformat(key[:10]) for _, key in found]
        assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days)), name
        for at, key in found:
            assert is_planned_or_after_a_gap(key, at, zone), (name, key)
