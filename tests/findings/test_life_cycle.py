"""Random histories of findings, held against a plain model day by day."""

from collections.abc import Callable
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from auditor.model import Credential, Outcome
from tests.findings.history import CATALOGUE, KEYS, LOW, MIDDLE, TOP, Reading, Source, World

keys = st.sampled_from(KEYS)
policies = st.sampled_from(sorted(CATALOGUE))
parts = st.frozensets(keys)
readings = st.sampled_from(Reading)
chains = st.lists(st.none() | st.sampled_from(Outcome), min_size=3, max_size=3)


class LifeCycle(RuleBasedStateMachine):
    """Everything that can happen to a finding, in any order."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @rule(key=keys, policy=policies, outcome=st.sampled_from(Outcome))
    def observe(self, key: str, policy: str, outcome: Outcome) -> None:
        self.world.truth[key][policy] = outcome

    @rule(key=keys, policy=policies)
    def resolve(self, key: str, policy: str) -> None:
        self.world.truth[key].pop(policy, None)

    @rule(key=keys, chain=chains)
    def a_whole_day(self, key: str, chain: list[Outcome | None]) -> None:
        """Change everything about a chain of superseding policies at once, and look."""
        for policy, outcome in zip((LOW, MIDDLE, TOP), chain, strict=True):
            self.world.truth[key].pop(policy, None)
            if outcome is not None:
                self.world.truth[key][policy] = outcome
        self.run_whole()

    @rule(key=keys)
    def drop_or_return(self, key: str) -> None:
        self.world.existing ^= {key}

    @rule(key=keys, policy=policies, days=st.integers(0, 4))
    def except_(self, key: str, policy: str, days: int) -> None:
        self.world.exceptions[key][policy] = self.world.day + days

    @rule(policy=policies)
    def retire_or_enable(self, policy: str) -> None:
        self.world.active ^= {policy}

    @rule(scope=parts)
    def add_second_source(self, scope: frozenset[str]) -> None:
        self.world.sources.setdefault("second", Source(scope)).is_configured = True

    @rule(name=st.sampled_from(["first", "second"]))
    def remove_source(self, name: str) -> None:
        if name in self.world.sources:
            self.world.sources[name].is_configured = False

    @rule()
    def configure_first_source_again(self) -> None:
        self.world.sources["first"].is_configured = True

    @rule()
    @precondition(lambda self: "renamed" not in self.world.sources)
    def rename_first_source(self) -> None:
        self.world.sources["first"].is_configured = False
        self.world.sources["renamed"] = Source(frozenset(KEYS))

    @rule()
    def run_whole(self) -> None:
        every = (Reading.COMPLETE, frozenset[str]())
        self.world.run(dict.fromkeys(self.world.sources, every))

    @rule(first=readings, second=readings, renamed=readings, part=parts)
    def run_somehow(
        self, first: Reading, second: Reading, renamed: Reading, part: frozenset[str]
    ) -> None:
        self.world.run(
            {"first": (first, part), "second": (second, part), "renamed": (renamed, part)}
        )


day = st.tuples(
    st.lists(st.sampled_from([None, *Outcome, Outcome.VIOLATION]), min_size=3, max_size=3),
    st.sampled_from([Reading.COMPLETE, Reading.COMPLETE, Reading.PARTIAL, Reading.FAILED]),
    st.sampled_from([None, None, *CATALOGUE]),
    st.sampled_from([None, None, None, None, *CATALOGUE]),
)
"""What a chain of superseding policies says, how the source ends, what is excepted or retired."""


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(days=st.lists(day, min_size=2, max_size=12))
def test_any_history_of_policies_that_take_over_agrees_with_the_model(
    credential: Callable[..., Credential],
    now: datetime,
    days: list[tuple[list[Outcome | None], Reading, str | None, str | None]],
) -> None:
    world = World(credential, now)
    for chain, reading, excepted, retired in days:
        for policy, outcome in zip((LOW, MIDDLE, TOP), chain, strict=True):
            world.truth["a"].pop(policy, None)
            if outcome is not None:
                world.truth["a"][policy] = outcome
        if excepted is not None:
            world.exceptions["a"][excepted] = world.day + 2
        if retired is not None:
            world.active ^= {retired}
        world.run({"first": (reading, frozenset(KEYS))})


def live(
    build: Callable[..., Credential], start: datetime, histories: int, number: int | None = None
) -> None:
    """Run so many random histories of forty steps; a *number* gives the same ones every time."""

    class Histories(LifeCycle):
        def __init__(self) -> None:
            super().__init__(World(build, start))

    run_state_machine_as_test(
        Histories if number is None else seed(number)(Histories),
        settings=settings(
            max_examples=histories,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )


def test_any_history_agrees_with_the_model(
    credential: Callable[..., Credential], now: datetime
) -> None:
    live(credential, now, histories=300)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_ten_thousand_histories_agree_with_the_model(
    credential: Callable[..., Credential], now: datetime, number: int
) -> None:
    # In parts, because Hypothesis remembers every step of a test until its end.
    live(credential, now, histories=500, number=number)
