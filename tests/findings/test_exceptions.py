"""Exceptions: what a file may say, and which findings it suppresses until when."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from auditor.errors import ConfigError
from auditor.findings.exception_file import append, render
from auditor.findings.exception_review import Fault, Usage, check, ending, unknown_policies
from auditor.findings.exceptions import PolicyException, PolicyExceptions, has_lapsed
from auditor.model import Credential, Principal
from auditor.policy.match import PolicyMatch

DAY = timedelta(days=1)
ENTRY = """\
  - match: {policy: dormant-credential, principal: ci}
    reason: runs once a quarter
    approver: ciso@example.com
    created: 2026-01-10
    expires: 2026-03-31
    ticket: SEC-12
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "exceptions.yaml"
    path.write_text("exceptions:\n" + ENTRY)
    return path


def entry(**changes: object) -> PolicyException:
    facts: dict[str, object] = {
        "match": PolicyMatch(policy="dormant-credential"),
        "reason": "agreed",
        "approver": "ciso@example.com",
        "created": "2026-01-01",
        "expires": "2026-12-31",
    }
    return PolicyException.model_validate(facts | changes)


def entries(*found: PolicyException) -> PolicyExceptions:
    return PolicyExceptions(found)


def test_an_exception_says_why_who_and_until_when(
    path: Path, credential: Callable[..., Credential], now: datetime
) -> None:
    note = PolicyExceptions.load(path).exception_for("dormant-credential", credential(), now)

    assert note is not None
    assert note.reason == "runs once a quarter"
    assert note.approver == "ciso@example.com"
    assert note.expires == "2026-03-31"
    assert note.ticket == "SEC-12"


def test_an_exception_covers_only_what_it_names(
    path: Path, credential: Callable[..., Credential], now: datetime
) -> None:
    exceptions = PolicyExceptions.load(path)

    assert exceptions.exception_for("stale-credential", credential(), now) is None
    other = credential(principal=Principal("sa-2", "deploy"))
    assert exceptions.exception_for("dormant-credential", other, now) is None


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-01-09T23:59:59+00:00", False),
        ("2026-01-10T00:00:00+00:00", True),
        ("2026-03-31T23:59:59+00:00", True),
        ("2026-04-01T00:00:00+00:00", False),
        ("2026-04-01T01:00:00+02:00", True),
    ],
)
def test_an_exception_holds_from_its_first_through_its_last_day_in_utc(
    path: Path, credential: Callable[..., Credential], at: str, *, holds: bool
) -> None:
    now = datetime.fromisoformat(at)
    note = PolicyExceptions.load(path).exception_for("dormant-credential", credential(), now)

    assert (note is not None) is holds


def test_a_note_lapses_with_its_last_day() -> None:
    note = entry(expires="2026-03-31").note

    assert not has_lapsed(note, datetime(2026, 3, 31, 23, 59, tzinfo=UTC))
    assert has_lapsed(note, datetime(2026, 4, 1, tzinfo=UTC))


def test_of_several_exceptions_the_one_that_lasts_longest_counts(
    credential: Callable[..., Credential], now: datetime
) -> None:
    exceptions = entries(
        entry(reason="short", expires="2026-04-01"),
        entry(reason="long", expires="2026-06-01", match=PolicyMatch(uid=credential().uid)),
        entry(reason="over", expires="2026-02-01"),
    )

    note = exceptions.exception_for("dormant-credential", credential(), now)

    assert note is not None
    assert note.reason == "long"


def test_an_empty_file_excepts_nothing(tmp_path: Path) -> None:
    for text in ("", "# none left\n", "exceptions:\n", "exceptions: []\n"):
        path = tmp_path / "exceptions.yaml"
        path.write_text(text)
        assert PolicyExceptions.load(path).entries == ()


@pytest.mark.parametrize(
    ("right", "wrong", "place", "message"),
    [
        ("    expires: 2026-03-31\n", "", "2:5", "'expires' is missing"),
        ("2026-03-31", "next year", "6:14", "must be a day like 2026-12-31"),
        ("2026-03-31", "20260331", "6:14", "must be a day like 2026-12-31"),
        ("principal:", "principle:", "2:41", "'principle'; did you mean 'principal'?"),
        ("runs once a quarter", '" "', "3:13", "reason: string should have at least 1"),
        ("2026-01-10", "2027-01-10", "6:14", "`expires` is before `created` (2027-01-10)"),
        ("{policy: dormant-credential, principal: ci}", "{}", "2:12", "would cover every finding"),
    ],
)
def test_a_mistake_is_named_with_line_and_column(
    path: Path, right: str, wrong: str, place: str, message: str
) -> None:
    path.write_text(path.read_text().replace(right, wrong))

    with pytest.raises(ConfigError) as error:
        PolicyExceptions.load(path)

    assert str(error.value).startswith(f"{path}:{place}: ")
    assert message in str(error.value)


def test_an_exception_may_not_last_longer_than_the_configuration_allows(path: Path) -> None:
    PolicyExceptions.load(path, max_days=80)

    with pytest.raises(ConfigError, match=r"6:14: .*79 days.*2026-03-30 is the last day"):
        PolicyExceptions.load(path, max_days=79)


def test_a_file_of_thousands_of_named_credentials_is_looked_up_by_uid(
    credential: Callable[..., Credential], now: datetime
) -> None:
    keys = [credential(f"key-{n}") for n in range(2000)]
    exceptions = entries(*(entry(match=PolicyMatch(uid=key.uid)) for key in keys))

    assert exceptions.covering("stale-credential", keys[1234]) == [1234]
    assert exceptions.exception_for("stale-credential", credential("other"), now) is None


# Review


def test_expired_ending_and_future_entries_are_pointed_out(now: datetime) -> None:
    remarks = check(
        entries(
            entry(expires="2026-02-27"),
            entry(expires="2026-03-01", match=PolicyMatch(uid="a")),
            entry(expires="2026-03-15", match=PolicyMatch(uid="b")),
            entry(created="2026-04-01", match=PolicyMatch(uid="c")),
            entry(expires="2026-03-16", match=PolicyMatch(uid="d")),
        ),
        now,
    )

    assert [(one.place, one.fault, one.message.split(";")[0]) for one in remarks] == [
        ("#1", Fault.EXPIRED, "expired 2 days ago"),
        ("#2", Fault.ENDING, "ends today"),
        ("#3", Fault.ENDING, "ends in 14 days"),
        ("#4", Fault.NOT_YET, "holds only from 2026-04-01 on"),
    ]


@pytest.mark.parametrize(
    ("match", "is_broad"),
    [
        (PolicyMatch(provider="aws"), True),
        (PolicyMatch(policy="*", organization="1234"), True),
        (PolicyMatch(policy=("stale-credential", "*")), True),
        (PolicyMatch(uid="*"), True),
        (PolicyMatch(policy="stale-*"), False),
        (PolicyMatch(principal="break-glass"), False),
        (PolicyMatch(tags={"cadence": "quarterly"}), False),
    ],
)
def test_an_entry_that_names_neither_policy_nor_subject_is_over_broad(
    now: datetime, match: PolicyMatch, *, is_broad: bool
) -> None:
    faults = {one.fault for one in check(entries(entry(match=match)), now)}

    assert (Fault.OVER_BROAD in faults) is is_broad


def test_an_entry_that_covers_nothing_is_unused(
    credential: Callable[..., Credential], now: datetime
) -> None:
    exceptions = entries(entry(), entry(match=PolicyMatch(uid="gone")))
    usage = Usage(exceptions, now)
    usage.add("dormant-credential", credential())

    remarks = check(exceptions, now, usage)

    assert [(one.place, one.fault) for one in remarks] == [("#2", Fault.UNUSED)]


def test_two_entries_for_the_same_violation_overlap(
    credential: Callable[..., Credential], now: datetime
) -> None:
    exceptions = entries(
        entry(),
        entry(match=PolicyMatch(principal="ci")),
        entry(match=PolicyMatch(name="key-1"), expires="2026-02-01"),
    )
    usage = Usage(exceptions, now)
    usage.add("dormant-credential", credential())

    overlapping = [one for one in check(exceptions, now, usage) if one.fault is Fault.OVERLAPPING]

    assert [(one.place, one.message) for one in overlapping] == [
        ("#2", "covers 1 violation that #1 covers too; keep one of them")
    ]


def test_the_file_alone_shows_entries_that_say_the_same(now: datetime) -> None:
    remarks = check(entries(entry(), entry(reason="again")), now)

    assert [(one.place, one.fault) for one in remarks] == [("#2", Fault.OVERLAPPING)]


def test_an_entry_that_covers_a_quarter_of_everything_is_over_broad(
    credential: Callable[..., Credential], now: datetime
) -> None:
    exceptions = entries(entry(match=PolicyMatch(name="key-*")))
    usage = Usage(exceptions, now)
    for n in range(20):
        usage.add("stale-credential", credential(f"key-{n}" if n < 6 else f"other-{n}"))

    assert [one.message for one in check(exceptions, now, usage)] == [
        "covers 6 of 20 violations; narrow it"
    ]


def test_exceptions_that_end_soon_are_announced_the_nearest_first(now: datetime) -> None:
    exceptions = entries(
        entry(expires="2026-03-10"), entry(expires="2026-03-02"), entry(expires="2026-02-02")
    )

    assert [one.expires for one in ending(exceptions, now)] == [
        date(2026, 3, 2),
        date(2026, 3, 10),
    ]


# Adding


def test_an_added_entry_leaves_the_rest_of_the_file_as_it_was(path: Path) -> None:
    before = "# ours\n" + path.read_text() + "    # reviewed by the board\n"
    path.write_text(before)
    path.chmod(0o640)

    append(path, entry(match=PolicyMatch(uid="aws:1:key:a", tags={"env": "p*"})))

    assert path.read_text() == before + (
        "  - match:\n"
        '      uid: "aws:1:key:a"\n'
        "      tags:\n"
        '        env: "p*"\n'
        "    reason: agreed\n"
        "    approver: ciso@example.com\n"
        "    created: 2026-01-01\n"
        "    expires: 2026-12-31\n"
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert len(PolicyExceptions.load(path).entries) == 2


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "# nothing yet\n",
        "exceptions:",
        "exceptions: []\n# end\n",
        "exceptions:\n" + ENTRY.replace("\n  ", "\n")[2:],
        "exceptions:\n" + ENTRY.rstrip("\n"),
        "exceptions:\r\n" + ENTRY.replace("\n", "\r\n"),
    ],
)
def test_an_entry_is_added_to_files_of_any_ordinary_layout(
    tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "exceptions.yaml"
    if text is not None:
        path.write_bytes(text.encode())
    before = PolicyExceptions.load(path).entries if text is not None else ()

    append(path, entry())
    append(path, entry(reason="again"))

    after = PolicyExceptions.load(path).entries
    assert after == (*before, entry(), entry(reason="again"))


def test_a_layout_that_cannot_be_appended_to_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "exceptions.yaml"
    text = (
        "{exceptions: [{match: {uid: a}, reason: r, approver: a, created: 2026-01-01,"
        " expires: 2026-02-01}]}\n"
    )
    path.write_text(text)

    with pytest.raises(ConfigError, match="add by hand:\n- match:"):
        append(path, entry())

    assert path.read_text() == text


def test_an_entry_that_lasts_too_long_is_not_added(path: Path) -> None:
    before = path.read_text()

    with pytest.raises(ConfigError, match="lasts longer than 90 days"):
        append(path, entry(), max_days=90)

    assert path.read_text() == before


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        "a: b",
        "- a",
        "# not a comment",
        "true",
        "2026",
        "null",
        '"quoted" \\ back',
        "line\nbreak\ttab",
        "bell \x07 next \x85 line \u2028",
        "smile \U0001f600",
        "{{7*7}} [x] {y} &a *b !c |d >e %f `g",
        " lead",
        "trail ",
        "'",
        "=1+1",
        "012",
    ],
)
def test_any_text_survives_being_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "exceptions.yaml"
    added = entry(reason=text, match=PolicyMatch(name=text, policy=(text, "x")))

    append(path, added)

    assert PolicyExceptions.load(path).entries == (added,)
    assert render(added).isprintable() or "\n" in render(added)


def test_an_entry_for_a_policy_that_nobody_knows_is_pointed_out(now: datetime) -> None:
    exceptions = entries(
        entry(match=PolicyMatch(policy=("stale-credential", "dormant-credentail"), uid="a")),
        entry(match=PolicyMatch(policy="stale-*", uid="b")),
        entry(match=PolicyMatch(policy="nothing-*", uid="c")),
        entry(match=PolicyMatch(uid="d")),
        entry(match=PolicyMatch(policy="gone", uid="e"), expires="2026-02-27"),
    )
    known = ["dormant-credential", "stale-credential"]

    remarks = [
        one for one in check(exceptions, now, policies=known) if one.fault is Fault.UNKNOWN_POLICY
    ]

    assert [(one.place, one.message) for one in remarks] == [
        (
            "#1",
            "no policy is called 'dormant-credentail'; did you mean 'dormant-credential'?",
        ),
        ("#3", "no policy is called 'nothing-*'; correct it, or take it out"),
        ("#5", "no policy is called 'gone'; correct it, or take it out"),
    ]
    assert unknown_policies(exceptions, known, now) == remarks[:2]
