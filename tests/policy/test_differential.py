"""Our compiled conditions against an independent CEL engine, on generated expressions.

*Unknown* here is an error there: a fact that is unknown is left out of the engine's context, and
CEL's ``&&`` and ``||`` let a certain operand decide over an erroneous one, as ours do over an
unknown one. Each generated expression comes in both spellings.

Left out, because the engine departs from the CEL specification or we document a difference:

* ``exists`` and ``all`` over tests that may be unknown (the engine stops at the first error; the
  specification and we go on), and unknown items of a list literal (an error there, decided by the
  other items here);
* text beyond ASCII in ``size`` (the engine counts bytes, CEL and we count characters);
* ``lowerAscii`` (the engine has none) and ``45d`` in durations (CEL's units end at hours);
* sums that overflow (an error there, unknown here: compared in `test_language_logic`).
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import cel
from msgspec.structs import asdict

from auditor.model import (
    Credential,
    ExpiresState,
    LastUsedState,
    Organization,
    PermissionMap,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
    Status,
)
from auditor.policy.language import compile_condition, parameter_value
from auditor.policy.language.condition import compile_together
from auditor.policy.language.derived import ENDLESS, Derived, derive

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
VERY_LONG = 100_000 * DAY
EXPRESSIONS = 1_500
PAIRS = 50_000
PARAMETERS = {"limit": "45d", "words": ["ci", "prod", "x"], "bits": 2048}

Both = tuple[str, str]
"""One expression as we write it and as the engine understands it."""


# --- the credentials -------------------------------------------------------------------------


def _subject(source: Random) -> Credential:
    def when(least: int = -60) -> datetime | None:
        days = source.choice((None, -400, -90, -45, -44, -1, 0, 1, 45, 60, 90))
        seconds = source.choice((0, 0, 1, -1))
        if days is None or (days < least and source.random() < 0.3):
            return None
        return NOW + timedelta(days=days, seconds=seconds)

    word: Callable[[], str] = partial(source.choice, ("", "ci", "prod", "x", "Build Key", "a.b"))
    maybe: Callable[[Any], Any] = lambda value: value if source.random() < 0.6 else None  # noqa: E731
    return Credential(
        uid=f"keycard:org:key:{source.randrange(5)}",
        provider=source.choice(("keycard", "aws")),
        source="prod",
        organization=Organization(id=word(), name=word()),
        principal=Principal(
            id=word(),
            name=word(),
            type=source.choice(list(PrincipalType)),
            status=maybe(word()),
            is_root=source.choice((True, False, None)),
            has_mfa=source.choice((True, False, None)),
        ),
        name=word(),
        owner=maybe(word()),
        client_id=maybe(word()),
        type=word(),
        status=source.choice(list(Status)),
        created_at=when(),
        rotated_at=when(),
        observed_at=NOW + source.choice((0, 0, 3)) * DAY,
        data_as_of=NOW - source.choice((0, 0, 2)) * DAY,
        last_used_at=when(),
        last_used_state=source.choice(list(LastUsedState)),
        last_used_window_start=when(),
        last_used_precision=maybe(timedelta(hours=source.choice((1, 24)))),
        expires_at=when(),
        expires_state=source.choice(list(ExpiresState)),
        permissions=maybe(_permissions(source)),
        permissions_subject=source.choice(list(PermissionsSubject)),
        unused_permissions=maybe(_permissions(source)),
        privilege=source.choice(list(Privilege)),
        tags={key: word() for key in ("env", "team", "x") if source.random() < 0.5},
        key_algorithm=maybe(source.choice(("RSA", "EC"))),
        key_bits=maybe(source.choice((256, 1024, 2048, 4096))),
        reviewed_at=when(),
    )


def _permissions(source: Random) -> PermissionMap:
    kinds = [kind for kind in ("iam", "logs", "*") if source.random() < 0.5]
    return {
        kind: {
            verb: source.random() < 0.6 for verb in ("read", "write", "*") if source.random() < 0.6
        }
        for kind in kinds
    }


_SOURCE = Random(20260301)
SUBJECTS = [(_subject(_SOURCE), NOW) for _ in range(60)]


# --- what the engine sees ----------------------------------------------------------------------

_ABSENT_WHEN_UNKNOWN = ("status", "last_used_state", "expires_state", "privilege",
                        "permissions_subject")  # fmt: skip
_NULL = ("owner", "client_id", "rotated_at")


def _facts(subject: Credential, derived: Derived) -> dict[str, Any]:
    facts: dict[str, Any] = {
        name: getattr(subject, name)
        for name in ("provider", "name", "type", "created_at", "observed_at", "data_as_of",
                     "last_used_at", "expires_at", "permissions", "unused_permissions", "tags",
                     "key_algorithm", "key_bits", "reviewed_at")
    }  # fmt: skip
    facts |= {name: str(getattr(subject, name)) for name in _ABSENT_WHEN_UNKNOWN}
    facts |= {
        name: VERY_LONG if length == ENDLESS else length
        for name, length in asdict(derived).items()
        if name != "neighbours"
    }
    principal = {
        name: getattr(subject.principal, name) for name in ("id", "status", "is_root", "has_mfa")
    } | {"type": str(subject.principal.type)}
    known = _known(facts) | {name: getattr(subject, name) for name in _NULL}
    organization = {"name": subject.organization.name}
    return known | {"principal": _known(principal), "organization": organization}


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in facts.items() if value is not None and value != "unknown"
    }


def _granted(permissions: PermissionMap, kind: str, verb: str) -> bool:
    return any(
        given and one in (kind, "*") and name in (verb, "*")
        for one, names in permissions.items()
        for name, given in names.items()
    )


def _granted_count(permissions: PermissionMap) -> int:
    return [given for names in permissions.values() for given in names.values()].count(True)


def _context(subject: Credential, derived: Derived, now: datetime) -> cel.Context:
    parameters = {"limit": 45 * DAY, "words": ["ci", "prod", "x"], "bits": 2048}
    return cel.Context(
        {"credential": _facts(subject, derived), "parameters": parameters, "now": now},
        {"granted": _granted, "granted_count": _granted_count},
    )


# --- the expressions ---------------------------------------------------------------------------


class Generator:
    """Writes random, well-typed conditions in both spellings."""

    def __init__(self, seed: int) -> None:
        self._source = Random(seed)
        self._atoms = (
            self._text, self._text, self._state, self._state, self._moment, self._length,
            self._idleness, self._idleness, self._number, self._flag, self._guarded, self._tag,
            self._permission, self._constant, self._known, self._loop,
        )  # fmt: skip

    def condition(self, depth: int) -> Both:
        """Return a condition of at most *depth* levels of operators."""
        kind = self._source.random()
        if depth == 0 or kind < 0.15:
            atom: Callable[[], Both] = self._pick(self._atoms)
            return atom()
        if kind < 0.7:
            operator = self._pick((" && ", " || "))
            parts = [self.condition(depth - 1) for _ in range(self._pick((2, 2, 3)))]
            return self._wrapped(
                operator.join(one[0] for one in parts), operator.join(one[1] for one in parts)
            )
        a, b, c = (self.condition(depth - 1) for _ in range(3))
        if kind < 0.8:
            return self._wrapped(f"!{a[0]}", f"!{a[1]}")
        if kind < 0.9:
            return self._wrapped(f"{a[0]} ? {b[0]} : {c[0]}", f"{a[1]} ? {b[1]} : {c[1]}")
        operator = self._pick((" == ", " != "))
        return self._wrapped(operator.join((a[0], b[0])), operator.join((a[1], b[1])))

    def _pick(self, options: Any) -> Any:
        return self._source.choice(options)

    @staticmethod
    def _wrapped(ours: str, theirs: str) -> Both:
        return f"({ours})", f"({theirs})"

    def _same(self, text: str) -> Both:
        return self._wrapped(text, text)

    def _word(self) -> str:
        return str(self._pick(("''", "'ci'", "'prod'", '"x"', "'Build Key'", "'a.b'", "'zz'")))

    def _words(self) -> str:
        literal = ", ".join(self._word() for _ in range(self._pick((1, 2, 3))))
        return str(self._pick((f"[{literal}]", "parameters.words")))

    def _about(self, subject: str) -> str:
        """Return a condition on a text."""
        word, operator = self._word(), self._pick(("==", "!=", "<", "<=", ">", ">="))
        pattern = self._pick(("'^c'", "'d$'", "'[a-m]+'", "'^(ci|x)$'", "'u.l'", "''", r"'\\.'"))
        return str(self._pick((
            f"{subject} {operator} {word}", f"{word} {operator} {subject}",
            f"{subject}.startsWith({word})", f"{subject}.endsWith({word})",
            f"{subject}.contains({word})", f"{subject}.matches({pattern})",
            f"size({subject}) > {self._pick((0, 2, 3))}", f"{subject} in {self._words()}",
            f"{word} in [{subject}, {word}]" if "principal" not in subject else f"{subject} < 'b'",
        )))  # fmt: skip

    def _text(self) -> Both:
        field = self._pick(("name", "type", "provider", "organization.name", "principal.id",
                            "principal.status", "key_algorithm"))  # fmt: skip
        if field == "key_algorithm":
            algorithm = self._pick(("'RSA'", "'EC'"))
            return self._same(f"credential.key_algorithm == {algorithm}")
        return self._same(self._about(f"credential.{field}"))

    def _state(self) -> Both:
        field, members = self._pick((
            ("status", ("active", "inactive", "unknown")),
            ("last_used_state", ("used", "never", "unknown")),
            ("expires_state", ("at", "sliding", "unknown")),
            ("privilege", ("admin", "read", "unknown")),
            ("permissions_subject", ("credential", "caller", "unknown")),
            ("principal.type", ("user", "machine", "unknown")),
        ))  # fmt: skip
        name, member = f"credential.{field}", self._pick(members)
        if self._source.random() < 0.5:
            operator = self._pick(("==", "!="))
            ours = self._pick((f"{name} {operator} '{member}'", f"'{member}' {operator} {name}"))
            if member == "unknown":
                return self._wrapped(ours, f"{'!' if operator == '==' else ''}has({name})")
            return self._wrapped(ours, ours)
        among = self._source.sample(members, 2)
        ours = f"{name} in {among}"
        return self._wrapped(ours, f"!has({name}) || {ours}" if "unknown" in among else ours)

    def _compare(self, left: str, right: str) -> Both:
        operator = self._pick(("==", "!=", "<", "<=", ">", ">="))
        return self._same(self._pick((f"{left} {operator} {right}", f"{right} {operator} {left}")))

    def _duration(self) -> str:
        hours = self._pick((0, 1, 24, 24 * 44, 24 * 45, 24 * 90, 24 * 400))
        return str(self._pick((f"duration('{hours}h')", "parameters.limit")))

    def _moment(self) -> Both:
        field = self._pick(("created_at", "observed_at", "data_as_of", "last_used_at", "expires_at",
                            "reviewed_at"))  # fmt: skip
        limit = self._pick((
            "now", "timestamp('2026-01-15T03:00:00Z')", f"now - {self._duration()}",
            f"now + {self._duration()}", "credential.created_at",
        ))  # fmt: skip
        return self._compare(f"credential.{field}", limit)

    def _length(self) -> Both:
        length = self._pick((
            "credential.age", "credential.expires_in", "credential.lifetime",
            "(credential.observed_at - credential.created_at)", "(now - credential.reviewed_at)",
            f"(credential.age + {self._duration()})", f"(credential.age - {self._duration()})",
        ))  # fmt: skip
        return self._compare(length, self._duration())

    def _idleness(self) -> Both:
        """Write out by hand what a lower bound decides."""
        limit, operator = self._duration(), self._pick(("==", "!=", "<", "<=", ">", ">="))
        ours = f"credential.idle_for {operator} {limit}"
        exact, bound = f"credential.idle_for {operator} {limit}", "credential.idle_at_least"
        theirs = {
            ">=": f"{bound} >= {limit} || {exact}",
            ">": f"{bound} > {limit} || {exact}",
            "<": f"!({bound} >= {limit}) && {exact}",
            "<=": f"!({bound} > {limit}) && {exact}",
            "==": f"!({bound} > {limit}) && {exact}",
            "!=": f"{bound} > {limit} || {exact}",
        }[operator]
        return self._wrapped(ours, theirs)

    def _number(self) -> Both:
        left = self._pick(("credential.key_bits", "(credential.key_bits + 24)",
                           "(credential.key_bits - 1)", "(-credential.key_bits)"))  # fmt: skip
        right = self._pick(
            ("1024", "2048", "-256", "0x400", "parameters.bits", "1024.5", "2.048e3")
        )
        return self._compare(left, right)

    def _flag(self) -> Both:
        return self._same(self._pick((
            "credential.principal.is_root", "!credential.principal.has_mfa",
            "credential.principal.is_root == true", "credential.principal.has_mfa != false",
        )))  # fmt: skip

    def _guarded(self) -> Both:
        name = f"credential.{self._pick(('owner', 'client_id'))}"
        about = self._about(name)
        return self._same(self._pick((
            f"{name} == null", f"null != {name}", f"{name} != null && {about}",
            f"{name} == null || {about}", f"{name} != null ? {about} : false",
            f"{name} == null ? true : {about}", f"!({name} == null) && {about}",
            f"!({name} == null || false) && {about}",
            "credential.rotated_at != null && credential.rotated_at < now",
        )))  # fmt: skip

    def _tag(self) -> Both:
        key = self._pick(("env", "team", "x"))
        entry = f"credential.tags['{key}']"
        return self._same(self._pick((
            f"'{key}' in credential.tags", f"has(credential.tags.{key})",
            f"'{key}' in credential.tags && {self._about(entry)}",
            f"has(credential.tags.{key}) && {self._about(f'credential.tags.{key}')}",
            f"!('{key}' in credential.tags) || {self._about(entry)}",
            f"size(credential.tags) {self._pick(('<', '>='))} 2",
        )))  # fmt: skip

    def _permission(self) -> Both:
        field = f"credential.{self._pick(('permissions', 'unused_permissions'))}"
        kind, verb = self._pick(("iam", "logs", "*")), self._pick(("read", "write", "*"))
        return self._same(self._pick((
            f"'{kind}' in {field}", f"size({field}) > 1",
            f"'{kind}' in {field} && '{verb}' in {field}['{kind}']",
            f"'{kind}' in {field} && '{verb}' in {field}['{kind}'] && {field}['{kind}']['{verb}']",
            f"granted({field}, '{kind}', '{verb}')", f"granted_count({field}) > 2",
        )))  # fmt: skip

    def _constant(self) -> Both:
        return self._same(self._pick((
            "true", "false", "1 < 2", "'a' == 'b'", "2 in [1, 2]", "1.5 > 2.5", "3 - 2 - 1 == 0",
            "size('abc') == 3", "'abc'.contains('b')", "--1 == 1", "'ci' in parameters.words",
        )))  # fmt: skip

    def _known(self) -> Both:
        return self._same(f"has(credential.{self._pick(('created_at', 'key_bits', 'age'))})")

    def _loop(self) -> Both:
        macro = self._pick(("exists", "all"))
        return self._same(self._pick((
            f"parameters.words.{macro}(word, {self._about('word')})",
            f"credential.tags.{macro}(key, {self._about('key')})",
            f"credential.tags.{macro}(key, {self._about('credential.tags[key]')})",
            f"[1, 2, 3].{macro}(n, n > {self._pick((0, 2, 3))})",
            f"credential.permissions.{macro}(kind, {self._about('kind')})",
            (f"credential.permissions.{macro}(kind, credential.permissions[kind].exists(verb, "
            "credential.permissions[kind][verb]))"),
        )))  # fmt: skip


def _expressions(count: int) -> Iterator[Both]:
    generator = Generator(45)
    for number in range(count):
        yield generator.condition(depth=number % 4)


# --- the comparison ----------------------------------------------------------------------------


def test_compiled_conditions_answer_as_an_independent_engine_does() -> None:
    parameters = {name: parameter_value(value) for name, value in PARAMETERS.items()}
    derived = [derive(subject, now) for subject, now in SUBJECTS]
    contexts = [
        _context(subject, facts, now)
        for (subject, now), facts in zip(SUBJECTS, derived, strict=True)
    ]
    seen = {True: 0, False: 0, None: 0}
    for ours, theirs in _expressions(EXPRESSIONS):
        condition, program = (
            compile_condition(ours, parameters, "differential"),
            cel.compile(theirs),
        )
        for (subject, now), facts, context in zip(SUBJECTS, derived, contexts, strict=True):
            answer = condition.evaluate(subject, facts, now)
            expected = _answer(program, context)
            assert answer is expected, f"{ours}\nas {theirs}\nfor {subject}"
            seen[answer] += 1
    assert sum(seen.values()) >= PAIRS
    assert min(seen.values()) > PAIRS / 20, "every answer must occur often"


def test_conditions_put_together_answer_as_each_does() -> None:
    parameters = {name: parameter_value(value) for name, value in PARAMETERS.items()}
    conditions = [
        compile_condition(ours, parameters, "together") for ours, _ in _expressions(EXPRESSIONS)
    ]
    subjects = [(subject, derive(subject, now), now) for subject, now in SUBJECTS]
    for number in (0, 1, 2, 25):
        for start in range(0, len(conditions), number or len(conditions)):
            part = conditions[start : start + number]
            answers = compile_together(part)
            for given in subjects:
                expected = tuple(condition.evaluate(*given) for condition in part)
                assert answers(*given) == expected


def _answer(program: cel.Program, context: cel.Context) -> bool | None:
    try:
        answer = program.execute(context)
    except KeyError:
        return None
    assert isinstance(answer, bool)
    return answer
