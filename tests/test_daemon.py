"""The daemon runs every occurrence once and ends as it is told."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from auditor.daemon import Daemon, Work
from auditor.errors import ConfigError, StoreError
from auditor.schedule import Occurrence, ScheduleOptions, next_occurrence
from auditor.signals import hangups_waiting, signals

START = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


@dataclass
class Unfinished:
    schedule: str
    key: str
    recorded_at: datetime


@dataclass
class Alone:
    """Leads, unless a test says otherwise."""

    leads: bool = True
    error: str | None = None

    def hold(self) -> bool:
        if self.error is not None:
            raise StoreError(self.error)
        return self.leads

    def release(self) -> None:
        self.leads = False

    def leader(self) -> None:
        return None


@dataclass
class Memory:
    """A ledger that outlives daemons."""

    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    seen: dict[str, datetime] = field(default_factory=dict)
    begun: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def occurrences(self, schedule: str) -> list[str]:
        return list(self.entries.get(schedule, {}))[-100:]

    def known_since(self, schedule: str, now: datetime) -> datetime:
        return self.seen.setdefault(schedule, now)

    def begin(self, schedule: str, key: str, *, at: datetime) -> bool:
        known = self.entries.setdefault(schedule, {})
        if key in known:
            return False
        known[key] = "begun"
        self.begun[schedule, key] = at
        return True

    def finish(self, schedule: str, key: str, *, state: str, reason: str = "") -> None:
        self.entries[schedule][key] = state
        self.begun.pop((schedule, key))
        if reason:
            self.reasons.append(reason)

    def unfinished(self) -> list[Unfinished]:
        return [Unfinished(schedule, key, at) for (schedule, key), at in self.begun.items()]

    def leave_out(self, schedule: str, key: str, *, state: str, reason: str, at: datetime) -> None:
        self.entries.setdefault(schedule, {}).setdefault(key, state)
        self.reasons.append(reason)

    def states(self, schedule: str = "nightly") -> dict[str, str]:
        return dict(self.entries.get(schedule, {}))


@dataclass
class World:
    """A clock that a test turns, and what the daemons under it did."""

    ledger: Memory = field(default_factory=Memory)
    now: datetime = START
    ran: list[tuple[str, str, bool]] = field(default_factory=list)
    passes: int = 0
    hold: asyncio.Event | None = None
    failure: Exception | None = None

    def daemon(self, *schedules: ScheduleOptions, **more) -> Daemon:
        more = {"leadership": Alone()} | more
        return Daemon(
            Work(schedules, self.audit, self.deliver),
            ledger=self.ledger,
            clock=lambda: self.now,
            **more,
        )

    async def audit(self, schedule: ScheduleOptions, occurrence: Occurrence, late: bool) -> None:
        self.ran.append((schedule.name, occurrence.key, late))
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure

    async def deliver(self) -> None:
        self.passes += 1

    async def live(self, daemon: Daemon, until: datetime, *, step=timedelta(minutes=1)) -> None:
        while self.now < until:
            self.now += step
            await daemon.tick()
            await settle()


async def settle() -> None:
    """Let every task go as far as it can, threads included."""
    for _ in range(10):
        await asyncio.sleep(0)
    await asyncio.to_thread(lambda: None)
    for _ in range(5):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a thread of the daemon's makes it true
            await asyncio.sleep(0.01)


def schedule(name: str = "nightly", **timing) -> ScheduleOptions:
    return ScheduleOptions.model_validate({"name": name, **(timing or {"daily": "03:00"})})


async def test_every_occurrence_runs_once_across_the_spring_change():
    world = World()
    nightly = schedule(daily="02:30", timezone="Europe/Berlin")
    await world.live(world.daemon(nightly), START + timedelta(days=4))
    assert world.ran == [("nightly", f"2026-03-{day}T02:30", False) for day in (28, 29, 30, 31)]
    assert set(world.ledger.states().values()) == {"done"}


async def test_downtime_is_caught_up_once_and_the_rest_recorded_as_missed():
    world = World()
    await world.live(world.daemon(schedule()), START + timedelta(days=1))
    world.now += timedelta(days=3)
    await world.live(world.daemon(schedule()), world.now + timedelta(minutes=5))
    assert world.ran == [
        ("nightly", "2026-03-28T03:00", False),
        ("nightly", "2026-03-31T03:00", True),
    ]
    assert world.ledger.states() == {
        "2026-03-28T03:00": "done",
        "2026-03-29T03:00": "missed",
        "2026-03-30T03:00": "missed",
        "2026-03-31T03:00": "done",
    }


async def test_a_new_schedule_whose_first_time_falls_into_a_downtime_is_caught_up():
    world = World()
    await world.live(world.daemon(schedule()), START + timedelta(minutes=1))
    world.now += timedelta(hours=20)
    await world.live(world.daemon(schedule()), world.now + timedelta(minutes=1))
    assert world.ran == [("nightly", "2026-03-28T03:00", True)]


async def test_an_occurrence_whose_predecessor_still_runs_is_skipped_with_a_record():
    world = World(hold=asyncio.Event())
    daemon = world.daemon(schedule(every="1h"))
    await world.live(daemon, START + timedelta(hours=2, minutes=1))
    assert world.ledger.states() == {
        "2026-03-27T12:00:00Z": "begun",
        "2026-03-27T13:00:00Z": "skipped",
        "2026-03-27T14:00:00Z": "skipped",
    }
    assert world.ledger.reasons[0] == "the one before still ran"
    assert world.hold is not None
    world.hold.set()
    await world.live(daemon, START + timedelta(hours=3, minutes=1))
    assert world.ran[-1] == ("nightly", "2026-03-27T15:00:00Z", False)


async def test_different_schedules_queue_and_never_run_at_the_same_time():
    world = World(hold=asyncio.Event())
    daemon = world.daemon(schedule("one", every="1h"), schedule("two", every="1h"))
    await world.live(daemon, START + timedelta(minutes=2))
    assert [name for name, _, _ in world.ran] == ["one"]
    assert world.hold is not None
    world.hold.set()
    await settle()
    assert [name for name, _, _ in world.ran] == ["one", "two"]


async def test_two_daemons_on_one_ledger_run_an_occurrence_once():
    world = World()
    leads = Alone(), Alone(leads=False)
    first, second = (world.daemon(schedule(), leadership=one) for one in leads)
    while world.now < START + timedelta(days=2):
        world.now += timedelta(minutes=7)
        await asyncio.gather(first.tick(), second.tick())
        await settle()
        for one in leads:
            one.leads = not one.leads
    assert [key for _, key, _ in world.ran] == ["2026-03-28T03:00", "2026-03-29T03:00"]


async def test_a_run_over_its_limit_is_stopped_and_the_next_one_runs():
    world = World(hold=asyncio.Event())
    daemon = world.daemon(schedule(every="1h", max_runtime="1s"), overtime=timedelta(0))
    await world.live(daemon, START + timedelta(minutes=1))
    await asyncio.sleep(1.1)
    assert world.hold is not None
    world.hold.set()
    await world.live(daemon, START + timedelta(hours=1, minutes=1))
    assert len(world.ran) == 2


async def test_a_broken_audit_does_not_end_the_daemon():
    world = World()

    async def broken(*_args) -> None:
        world.ran.append(("nightly", "broken", False))
        raise ZeroDivisionError

    daemon = Daemon(
        Work([schedule(every="1h")], broken, world.deliver),
        ledger=world.ledger,
        leadership=Alone(),
        clock=lambda: world.now,
    )
    await world.live(daemon, START + timedelta(hours=1, minutes=1))
    assert len(world.ran) == 2


async def test_a_database_away_for_a_while_costs_no_occurrence():
    class Away(Memory):
        def occurrences(self, schedule: str) -> list[str]:
            if world.now < START + timedelta(hours=16):
                raise StoreError("the database is locked")
            return super().occurrences(schedule)

    world = World(ledger=Away(seen={"nightly": START}))
    await world.live(world.daemon(schedule()), START + timedelta(hours=17))
    assert world.ran == [("nightly", "2026-03-28T03:00", True)]


async def test_a_clock_that_ran_ahead_for_a_moment_stops_nothing():
    world = World()
    daemon = world.daemon(schedule())
    await world.live(daemon, START + timedelta(days=1))
    world.now += timedelta(days=3650)
    await daemon.tick()
    await settle()
    world.now -= timedelta(days=3650)
    world.ran.clear()
    await world.live(daemon, START + timedelta(days=3))
    assert [key for _, key, _ in world.ran] == ["2026-03-29T03:00", "2026-03-30T03:00"]


async def test_a_clock_set_back_repeats_nothing():
    world = World()
    daemon = world.daemon(schedule())
    await world.live(daemon, START + timedelta(hours=16))
    world.now -= timedelta(hours=2)
    await world.live(daemon, START + timedelta(hours=17))
    assert [key for _, key, _ in world.ran] == ["2026-03-28T03:00"]


async def test_the_outbox_is_worked_off_at_every_tick_but_not_twice_at_once():
    world = World()
    gate = asyncio.Event()

    async def slow() -> None:
        world.passes += 1
        await gate.wait()

    daemon = Daemon(
        Work([], world.audit, slow),
        ledger=world.ledger,
        leadership=Alone(),
        clock=lambda: world.now,
    )
    await world.live(daemon, START + timedelta(minutes=3))
    assert world.passes == 1
    gate.set()
    await settle()
    await world.live(daemon, START + timedelta(minutes=5))
    assert world.passes == 3


async def test_once_runs_what_is_due_delivers_and_returns():
    world = World(ledger=Memory(seen={"nightly": START - timedelta(days=1)}))
    await world.daemon(schedule()).once()
    assert world.ran == [("nightly", "2026-03-27T03:00", True)]
    assert world.passes == 2


async def test_thirty_days_with_crashes_and_clock_steps_account_for_every_occurrence():
    """Daemons die and start again at random, the clock steps; nothing is lost or done twice."""
    rng = Random(7)
    world = World(now=datetime(2026, 3, 14, tzinfo=UTC))
    begun = world.now
    plans = [
        schedule("nightly", daily="02:30", timezone="Europe/Berlin"),
        schedule("often", every="6h"),
        schedule("hourly", cron="0 * * * *", timezone="America/New_York"),
    ]
    for plan in plans:
        world.ledger.known_since(plan.name, begun)
    while world.now < begun + timedelta(days=30):
        daemon = world.daemon(*plans)
        for _ in range(rng.randint(1, 400)):
            world.now += timedelta(minutes=rng.choice((1, 5, 10)))
            if rng.random() < 0.002:
                world.now -= timedelta(minutes=30)
            await daemon.tick()
            await settle()
        world.now += timedelta(minutes=rng.choice((0, 10, 600)))
    await world.daemon(*plans).tick()
    await settle()
    for plan in plans:
        expected = []
        after = begun - timedelta(hours=6) if plan.every else begun
        while (found := next_occurrence(plan.plan, after)) and found.planned_at <= world.now:
            expected.append(found.key)
            after = found.planned_at
        assert list(world.ledger.states(plan.name)) == expected
        ran = [key for name, key, _ in world.ran if name == plan.name]
        assert len(ran) == len(set(ran)) > 20


# What was cut short


async def cut_short(world: World, **more) -> str:
    """Begin an occurrence in a daemon that then dies; returns its key."""
    world.hold = asyncio.Event()
    await world.live(world.daemon(schedule(every="6h")), START + timedelta(minutes=1))
    for task in asyncio.all_tasks() - {asyncio.current_task()}:  # as good as a power cut
        task.cancel()
    await settle()
    world.hold = None
    world.ran.clear()
    (key,) = world.ledger.states()
    return key


async def test_what_a_dead_daemon_left_is_taken_up_again():
    world = World()
    key = await cut_short(world)
    await world.live(world.daemon(schedule(every="6h")), world.now + timedelta(minutes=5))
    assert world.ran == [("nightly", key, True)]
    assert world.ledger.states() == {key: "done"}


async def test_what_was_cut_short_too_long_ago_is_given_up_and_the_newest_caught_up():
    world = World()
    key = await cut_short(world)
    world.now += timedelta(days=3)
    await world.live(world.daemon(schedule(every="6h")), world.now + timedelta(minutes=5))
    assert [ran[1] for ran in world.ran] == ["2026-03-30T12:00:00Z"]
    assert world.ledger.states()[key] == "failed"
    assert "cut short, and too old to go on with" in world.ledger.reasons


async def test_an_interrupted_occurrence_of_a_removed_schedule_ends():
    world = World()
    key = await cut_short(world)
    await world.live(world.daemon(schedule("other")), world.now + timedelta(minutes=2))
    assert world.ledger.states() == {key: "failed"}
    assert world.ran == []


async def test_a_restart_loop_runs_an_occurrence_to_its_end_and_skips_what_comes_meanwhile():
    world = World()
    await cut_short(world)
    world.hold = asyncio.Event()
    for _ in range(100):  # a daemon that dies after five minutes, for eight hours
        await world.live(world.daemon(schedule(every="6h")), world.now + timedelta(minutes=5))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await settle()
    world.hold = None
    await world.live(world.daemon(schedule(every="6h")), world.now + timedelta(minutes=2))
    assert world.ledger.states() == {
        "2026-03-27T12:00:00Z": "done",
        "2026-03-27T18:00:00Z": "skipped",
    }


async def test_an_audit_whose_database_went_away_goes_on_when_it_is_back():
    world = World(failure=StoreError("the database cannot be reached"))
    daemon = world.daemon(schedule(every="6h"))
    await world.live(daemon, START + timedelta(minutes=10))
    assert world.ledger.states() == {"2026-03-27T12:00:00Z": "begun"}
    tried = len(world.ran)
    assert 2 < tried < 6  # after one minute, two, four …
    world.failure = None
    await world.live(daemon, START + timedelta(minutes=40))
    assert world.ledger.states() == {"2026-03-27T12:00:00Z": "done"}


# One leads


async def test_a_follower_does_nothing_and_takes_over_what_the_leader_left():
    world = World(hold=asyncio.Event())
    leads = Alone(), Alone(leads=False)
    first, second = (world.daemon(schedule(every="6h"), leadership=one) for one in leads)
    await world.live(first, START + timedelta(minutes=1))
    await world.live(second, START + timedelta(minutes=2))
    assert (first.state().is_leader, second.state().is_leader) == (True, False)
    assert len(world.ran) == 1
    assert world.passes == 1
    leads[0].leads, leads[1].leads = False, True
    await world.live(first, world.now + timedelta(minutes=1))
    assert first.state().running == ()
    world.hold = None
    await world.live(second, world.now + timedelta(minutes=1))
    assert world.ledger.states() == {"2026-03-27T12:00:00Z": "done"}
    assert len(world.ran) == 2


async def test_a_leader_that_cannot_ask_starts_nothing_until_it_can():
    world = World()
    leadership = Alone(error="the database cannot be reached")
    daemon = world.daemon(schedule(every="6h"), leadership=leadership)
    await world.live(daemon, START + timedelta(minutes=3))
    assert world.ran == []
    leadership.error = None
    await world.live(daemon, START + timedelta(minutes=4))
    assert len(world.ran) == 1


async def test_once_leaves_the_work_to_the_daemon_that_leads():
    world = World(ledger=Memory(seen={"nightly": START - timedelta(days=1)}))
    assert not await world.daemon(schedule(), leadership=Alone(leads=False)).once()
    assert world.ran == []


# A new configuration


async def test_a_reload_that_is_asked_for_while_another_goes_on_is_done_after_it():
    world = World()
    work = Work([schedule()], world.audit, world.deliver)
    reads: list[int] = []
    may_end = threading.Event()

    def load() -> Work:
        reads.append(len(reads))
        may_end.wait(20)
        return work

    daemon = Daemon(work, ledger=world.ledger, leadership=Alone(), load=load)
    running = asyncio.create_task(daemon.run())
    await settle()
    signal.raise_signal(signal.SIGHUP)
    await until(lambda: len(reads) == 1)
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    await settle()
    may_end.set()
    await until(lambda: len(reads) == 2)
    await settle()
    running.cancel()  # a signal would end this process, too, after the grace period
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(reads) == 2


async def test_a_reload_replaces_the_work_whole_or_not_at_all():
    world = World()
    work = Work([schedule("six", every="6h")], world.audit, world.deliver)
    answers: list[Work | ConfigError] = [ConfigError("config.yaml:3: no such policy"), work]

    def load() -> Work:
        answer = answers.pop(0)
        if isinstance(answer, ConfigError):
            raise answer
        return answer

    daemon = world.daemon(schedule("hourly", every="1h"), load=load)
    await world.live(daemon, START + timedelta(minutes=1))
    await daemon.reload()
    assert daemon.state().reload_error == "config.yaml:3: no such policy"
    await world.live(daemon, START + timedelta(hours=1, minutes=1))
    assert [name for name, _, _ in world.ran] == ["hourly", "hourly"]
    await daemon.reload()
    assert daemon.state().reload_error is None
    await world.live(daemon, START + timedelta(hours=2, minutes=1))
    assert [name for name, _, _ in world.ran] == ["hourly", "hourly", "six"]


async def test_old_runs_are_forgotten_once_a_day_while_nothing_else_goes_on():
    world = World()
    tidied = []

    async def tidy() -> None:
        tidied.append(world.now)

    daemon = Daemon(
        Work([], world.audit, world.deliver, tidy),
        ledger=world.ledger,
        leadership=Alone(),
        clock=lambda: world.now,
    )
    await world.live(daemon, START + timedelta(days=2), step=timedelta(hours=1))
    assert len(tidied) == 2


# Signals, in a process of its own

PROGRAM = """
import asyncio, sys
from datetime import timedelta
from auditor import log
from auditor.daemon import Daemon, Work
from auditor.schedule import ScheduleOptions

log.configure()

class Ledger:
    def occurrences(self, schedule): return []
    def known_since(self, schedule, now): return now
    def begin(self, schedule, key, *, at): return True
    def leave_out(self, *args, **more): pass
    def finish(self, *args, **more): pass
    def unfinished(self): return []

class Leadership:
    def hold(self): return True
    def release(self): pass
    def leader(self): return None

async def audit(schedule, occurrence, late):
    print("started", flush=True)
    try:
        {work}
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise
    print("finished", flush=True)

async def deliver():
    pass

async def main():
    daemon = Daemon(
        Work([ScheduleOptions(name="n", every=timedelta(hours=1))], audit, deliver),
        ledger=Ledger(), leadership=Leadership(), grace=timedelta(seconds={grace}),
    )
    return await daemon.run()

sys.exit(asyncio.run(main()))
"""


@pytest.fixture
def program(tmp_path: Path):
    running: list[subprocess.Popen[str]] = []

    def start(work: str, grace: float = 20) -> subprocess.Popen[str]:
        path = tmp_path / "program.py"
        path.write_text(PROGRAM.format(work=work, grace=grace))
        process = subprocess.Popen(
            [sys.executable, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


Program = Callable[..., subprocess.Popen[str]]


def test_sigterm_lets_running_work_end(program: Program):
    process = program("await asyncio.sleep(0.7)")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("finished\n", 0)


async def test_a_sighup_before_anybody_listens_waits_until_somebody_does():
    told: list[str] = []
    with hangups_waiting():
        signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
        with signals(asyncio.Event(), lambda: told.append("reload"), end_after=1):
            await until(lambda: told == ["reload"])


def test_a_signal_and_its_echo_are_one(program: Program):
    process = program("await asyncio.sleep(0.7)")
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
        process.send_signal(number)  # both arrive at the same instant, when it goes on
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("finished\n", 130)


def test_sighup_does_not_end_anything(program: Program):
    process = program("await asyncio.sleep(1)")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("finished\n", 0)


def test_work_that_outlives_the_grace_period_is_cancelled_and_rolls_back(program: Program):
    process = program("await asyncio.sleep(60)", grace=0.3)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("cancelled\n", 0)


def test_ctrl_c_drains_as_well_and_says_so_in_its_exit_code(program: Program):
    process = program("await asyncio.sleep(0.5)")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("finished\n", 130)


@pytest.mark.parametrize("work", ["await asyncio.sleep(60)", "import time; time.sleep(60)"])
def test_a_second_signal_stops_at_once_even_in_the_middle_of_busy_work(work, program: Program):
    process = program(work)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM


def test_what_cannot_be_cancelled_does_not_keep_the_process_for_ever(program: Program):
    process = program("import time; await asyncio.to_thread(time.sleep, 120)", grace=0.3)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == ("cancelled\n", 128 + signal.SIGTERM)
