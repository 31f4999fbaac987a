"""Whatever somebody writes into a policy file, it is checked data and never runs."""

import builtins
import os
import random
import string
import subprocess
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.model import Credential
from auditor.policy.language import Condition, ExpressionError, compile_condition
from auditor.policy.language.derived import derive
from tests.policy.test_differential import SUBJECTS

HOSTILE = [
    "__import__('os').system('touch /tmp/owned')",
    "credential.__class__.__mro__[1].__subclasses__()",
    "credential.name.__class__.__init__.__globals__['os']",
    "credential.name.format(credential)",
    "''.join(['a'])",
    "(lambda: 1)()",
    "[x for x in credential.tags]",
    "exec('1') == 1",
    "eval('1') == 1",
    "open('/etc/passwd')",
    "credential.name == f'{credential}'",
    "credential.name == `id`",
    "t1 := credential.name",
    "k1 == 1",
    "t1 == 1",
    "idle_at_least > duration('1d')",
    "now.__class__ == 1",
    "credential.tags.__class__ == 'x'",
    "credential.tags.items() == 1",
    "parameters.__class__",
    "credential.uid; import os",
    "credential.uid\nimport os",
    "credential.uid # \n or 1",
    "'a' * 1000000000 == 'a'",
    "9999999 ** 9999999 > 1",
    "1 << 9999999 > 1",
    "credential.name % credential == 'x'",
    "True",
    "None is None",
    "not None",
    "credential.name.matches('(a+)+$(?!x)')",
    "credential.name.lower()",
    "\x00",
    "\u2028true",
    "credential\u200b.name == 'x'",
    "\U0001d41credential.name == 'x'",
]


@pytest.fixture
def _nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an expression ran something")

    monkeypatch.setattr(os, "system", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(builtins, "eval", refuse)
    monkeypatch.setattr(builtins, "exec", refuse)


@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_expressions_are_load_errors(
    compiled: Callable[[str], Condition], text: str
) -> None:
    with pytest.raises(ExpressionError):
        compiled(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_inside_quotes_is_just_text(
    compiled: Callable[[str], Condition],
    credential: Callable[..., Credential],
    now: datetime,
    text: str,
) -> None:
    quoted = "".join(f"\\U{ord(char):08x}" for char in text)
    subject = credential(name=text)
    condition = compiled(f"credential.name == '{quoted}'")
    assert condition.evaluate(subject, derive(subject, now), now) is True


def test_the_name_of_a_macro_variable_never_reaches_the_code(
    compiled: Callable[[str], Condition],
) -> None:
    condition = compiled("parameters.teams.exists(__builtins__, __builtins__ == 'data')")
    names = set(condition.test.__code__.co_names) | set(condition.test.__code__.co_varnames)
    assert not any("builtins" in name for name in names)


WORDS = [
    "credential", "parameters", "now", ".", ".", "(", ")", "[", "]", ",", "?", ":", "&&", "||",
    "!", "==", "!=", "<", ">=", "in", "+", "-", "'env'", "'active'", "1", "2.5", "true", "null",
    "status", "tags", "permissions", "owner", "idle_for", "created_at", "principal", "has_mfa",
    "exists", "all", "size", "has", "duration", "'45d'", "x", "y", "matches", "granted",
]  # fmt: skip


@settings(max_examples=1_500, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join))
def test_random_words_are_either_refused_or_evaluate_without_an_exception(text: str) -> None:
    _try(text)


@settings(max_examples=500, deadline=None)
@given(st.text(string.printable + "é☃", max_size=40))
def test_random_text_is_either_refused_or_evaluates_without_an_exception(text: str) -> None:
    _try(text)


def test_mutations_of_a_real_condition_never_raise_anything_else() -> None:
    seed = (
        "credential.status == 'active' && (credential.owner == null || credential.owner == 'x') "
        "&& credential.tags.exists(k, credential.tags[k] == 'x') ? credential.idle_for >= "
        "duration('45d') : 'iam' in credential.permissions && size(credential.permissions.iam) > 1"
    )
    source = random.Random(7)
    for _ in range(3_000):
        text = list(seed)
        for _ in range(source.randint(1, 4)):
            place = source.randrange(len(text))
            action = source.random()
            if action < 0.4:
                del text[place]
            elif action < 0.7:
                text[place] = source.choice("()[].,!&|<>='\"credntial ?:+-1")
            else:
                text.insert(place, source.choice(("&&", "||", "!", "(", ")", " null ", "[", "]")))
        _try("".join(text))


GUARDS = [
    "credential.owner != null",
    "credential.owner == null",
    "has(credential.owner)",
    "credential.owner == 'x'",
    "credential.owner.startsWith('c')",
    "'env' in credential.tags",
    "has(credential.tags.env)",
    "credential.tags['env'] == 'x'",
    "credential.tags.env.contains('c')",
    "credential.tags.exists(k, credential.tags[k] == 'x')",
    "credential.principal.has_mfa",
    "'iam' in credential.permissions",
    "'read' in credential.permissions['iam']",
    "credential.permissions['iam']['read']",
    "true",
]


def _guarded(source: random.Random, depth: int) -> str:
    kind = source.random()
    if depth == 0 or kind < 0.2:
        return source.choice(GUARDS)
    parts = [_guarded(source, depth - 1) for _ in range(3)]
    if kind < 0.7:
        return "(" + source.choice((" && ", " || ")).join(parts) + ")"
    if kind < 0.85:
        return f"!({parts[0]})"
    return "({} ? {} : {})".format(*parts) if kind < 0.95 else f"({parts[0]} == {parts[1]})"


def test_what_the_guards_let_pass_never_meets_an_absent_value() -> None:
    source = random.Random(3)
    accepted = sum(_try(_guarded(source, source.choice((1, 2)))) for _ in range(6_000))
    assert accepted > 1_000


def _try(text: str) -> bool:
    try:
        condition = compile_condition(text, {}, "fuzz")
    except ExpressionError as error:
        if not 0 <= error.start < error.end <= len(text) + 2:
            raise
        return False
    for subject, now in SUBJECTS:
        assert condition.evaluate(subject, derive(subject, now), now) in (True, False, None)
    return True
