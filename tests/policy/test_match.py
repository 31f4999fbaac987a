"""Match blocks: anchored globs over the facts of a credential."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from auditor.model import Credential, Organization, Principal
from auditor.policy.match import Match, PolicyMatch, compile_glob, literal

Build = Callable[..., Credential]


def match(**criteria: Any) -> Match:
    return Match.model_validate(criteria)


def test_a_match_without_criteria_covers_everything_and_says_so(credential: Build) -> None:
    assert match().matches(credential())
    assert match().is_empty
    assert not match(name="*").is_empty


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"provider": "keycard"}, True),
        ({"provider": "keycar"}, False),
        ({"provider": "eycard"}, False),
        ({"provider": "key*"}, True),
        ({"provider": "*"}, True),
        ({"provider": "Keycard"}, False),
        ({"provider": ["aws", "keycard"]}, True),
        ({"provider": ["aws", "gcp"]}, False),
        ({"source": "keycard-????"}, True),
        ({"source": "keycard-?????"}, False),
        ({"organization": "org-1"}, True),
        ({"organization": "Exam*"}, True),
        ({"organization": "xam"}, False),
        ({"principal": "ci"}, True),
        ({"principal": "sa-*"}, True),
        ({"uid": "keycard:org-1:*:key-1"}, True),
        ({"uid": "keycard:org-2:*"}, False),
        ({"type": "Service Account Key"}, True),
        ({"name": "key-1"}, True),
        ({"provider": "keycard", "name": "other"}, False),
        ({"owner": ""}, True),
        ({"owner": "?*"}, False),
    ],
)
def test_every_criterion_must_cover_the_whole_value(
    credential: Build, criteria: dict[str, Any], *, expected: bool
) -> None:
    assert match(**criteria).matches(credential()) is expected


def test_tags_need_the_tag_and_its_value(credential: Build) -> None:
    tagged = credential(tags={"cadence": "quarterly", "env": "prod"})
    assert match(tags={"cadence": "quarterly"}).matches(tagged)
    assert match(tags={"cadence": "q*", "env": ["prod", "live"]}).matches(tagged)
    assert not match(tags={"cadence": "quarterly", "team": "*"}).matches(tagged)
    assert not match(tags={"cadence": "monthly"}).matches(tagged)
    assert not match(tags={"cadence": "*"}).matches(credential())


def test_an_owner_is_compared_where_there_is_one(credential: Build) -> None:
    owned = credential(owner="platform@example.com")
    assert match(owner="*@example.com").matches(owned)
    assert not match(owner="").matches(owned)


def test_brackets_dots_and_newlines_are_ordinary_characters(credential: Build) -> None:
    assert match(name="a[b]c.*").matches(credential(name="a[b]c.\nd"))
    assert not match(name="a[b]c").matches(credential(name="abc"))
    assert not match(name="a.c").matches(credential(name="abc"))
    assert not match(name="abc").matches(credential(name="abc\n"))


def test_a_backslash_takes_the_next_character_as_it_is(credential: Build) -> None:
    assert match(name=r"a\*").matches(credential(name="a*"))
    assert not match(name=r"a\*").matches(credential(name="ab"))


@given(st.text(alphabet=st.sampled_from("ab*?\\[]!^-.\n"), max_size=8), st.text(max_size=3))
def test_a_literal_pattern_covers_its_text_and_nothing_longer(text: str, more: str) -> None:
    test = compile_glob(literal(text))
    assert test(text)
    assert bool(test(text + more)) is (more == "")


def test_a_hostile_pattern_stays_fast_on_a_hostile_name() -> None:
    assert not compile_glob("*a" * 200 + "b")("a" * 5000)


def test_policies_are_matched_where_the_block_may_name_them(credential: Build) -> None:
    block = PolicyMatch.model_validate({"policy": "dormant-*", "provider": "keycard"})
    assert block.matches_policy("dormant-credential")
    assert not block.matches_policy("stale-credential")
    assert block.matches(credential())
    assert PolicyMatch().matches_policy("anything")
    assert PolicyMatch.model_validate({"policy": ["a", "b"]}).matches_policy("b")


@pytest.mark.parametrize(
    "criteria",
    [
        {"organisation": "x"},
        {"policy": "x"},
        {"organization": 123456789012},
        {"organization": [12]},
        {"provider": []},
        {"tags": {"a": 1}},
        {"tags": "a"},
        {"name": True},
    ],
)
def test_what_a_match_cannot_mean_is_refused(criteria: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        match(**criteria)


def test_a_number_is_answered_with_put_it_in_quotes() -> None:
    with pytest.raises(ValidationError, match="put it in quotes"):
        match(organization=123456789012)


def test_a_match_is_a_value_and_stays_one_after_use(credential: Build) -> None:
    block = match(organization="org-1")
    assert block.matches(credential())
    assert block == match(organization="org-1")
    assert block != match(organization="org-2")
    other = credential(
        organization=Organization(id="org-2", name="org-1"),
        principal=Principal(id="a", name="b"),
    )
    assert block.matches(other)
