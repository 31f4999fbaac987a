"""Patterns match as the standard library's do, and never backtrack."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.policy.language.pattern import Pattern, PatternError


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "abc", True),
        ("b", "abc", True),
        ("^b", "abc", False),
        ("^a", "abc", True),
        ("c$", "abc", True),
        ("b$", "abc", False),
        ("^$", "", True),
        ("^$", "a", False),
        ("^abc$", "abc", True),
        ("a.c", "abc", True),
        ("a.c", "a\nc", False),
        ("a|b", "xb", True),
        ("^(a|b)+$", "abab", True),
        ("^(?:ab)*$", "abab", True),
        ("^(?:ab)*$", "aba", False),
        ("^a?b$", "b", True),
        ("^a{2}$", "aa", True),
        ("^a{2}$", "aaa", False),
        ("^a{2,}$", "aaaa", True),
        ("^a{1,2}$", "aaa", False),
        ("^[a-c_]+$", "abc_", True),
        ("^[^a-c]+$", "xyz", True),
        ("^[^a-c]+$", "xbz", False),
        ("^[]a]+$", "]a", True),
        ("^[a-]+$", "a-", True),
        (r"^[\d\-]+$", "1-2", True),
        (r"^[+-\--.]+$", "-.", True),
        (r"^\d{3}-\w+\s\S\D\W$", "123-a_ xy!", True),
        (r"a\.b", "a.b", True),
        (r"a\.b", "axb", False),
        (r"\n\t\r\f\v", "\n\t\r\f\v", True),
        ("é+", "éé", True),
        ("a$|b", "ba", True),
        ("x*", "", True),
        ("^x*$", "y", False),
    ],
)
def test_patterns(pattern: str, text: str, expected: bool) -> None:
    assert Pattern(pattern).search(text) is expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "a group is not closed"),
        (")", "unexpected '\\)' at character 1"),
        ("a)", "unexpected '\\)'"),
        ("[a", "ends too early"),
        ("\\", "ends too early"),
        ("*", "repeats nothing"),
        ("+a", "repeats nothing"),
        ("{2}", "repeats nothing"),
        ("a**", "doubled quantifiers"),
        ("a+?", "lazy and doubled"),
        ("^*", "cannot be repeated"),
        ("a{", "write {n}"),
        ("a{x}", "write {n}"),
        ("a{1,x}", "write {n}"),
        ("a{3,2}", "ends before it begins"),
        ("a{101}", "more than 100"),
        ("a{1000}", "more than 100"),
        ("(a{100}){100}", "too large"),
        ("(?i)a", "only"),
        ("(?P<n>a)", "only"),
        (r"\1", "not supported"),
        (r"\b", "not supported"),
        (r"[\b]", "not supported"),
        ("[[:alpha:]]", "write the characters"),
        ("[b-a]", "wrong way round"),
        ("a" * 501, "longer than 500"),
        ("(" * 21 + ")" * 21, "more than 20 groups"),
    ],
)
def test_what_is_outside_the_subset_is_refused(pattern: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        Pattern(pattern)


atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d"])
patterns = st.recursive(
    atoms | st.sampled_from(["^", "$"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(pattern=patterns, texts=st.lists(st.text("ab1", max_size=6), min_size=1, max_size=8))
def test_patterns_find_what_the_standard_library_finds(pattern: str, texts: list[str]) -> None:
    expected = re.compile(pattern.replace("$", r"\Z"))
    compiled = Pattern(pattern)
    for text in texts:
        assert compiled.search(text) is (expected.search(text) is not None), (pattern, text)


def test_a_pattern_that_would_backtrack_for_ages_answers_at_once() -> None:
    pattern = Pattern("^(a|a)*(a|aa)+(a+)+$")
    started = time.process_time()
    assert not pattern.search("a" * 20_000 + "b")
    assert time.process_time() - started < 5


def test_the_memory_of_a_pattern_is_bounded() -> None:
    pattern = Pattern("^[^x]*y")
    pattern.search("".join(chr(0x4E00 + number) for number in range(5_000)))
    assert len(pattern._memory) <= 2_000
