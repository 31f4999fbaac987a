"""Every mistake is found when the file is loaded, and pointed at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.errors import PolicyError
from auditor.policy.language import Condition, ExpressionError
from auditor.policy.reading import read


def pointed(compiled: Callable[[str], Condition], text: str) -> tuple[str, str]:
    """Return the part of the text that the error points at, and the message."""
    with pytest.raises(ExpressionError) as caught:
        compiled(text)
    return text[caught.value.start : caught.value.end], caught.value.message


@pytest.mark.parametrize(
    ("text", "part", "message"),
    [
        # names
        ("credential.idel_for > duration('1d')", "idel_for",
         "unknown field credential.idel_for; did you mean credential.idle_for?"),
        ("credential.principal.idd == 'x'", "idd",
         "unknown field credential.principal.idd; did you mean credential.principal.id?"),
        ("credential.xyzzy == 'x'", "xyzzy", "unknown field credential.xyzzy"),
        ("status == 'active'", "status", "unknown name 'status'; did you mean credential.status?"),
        ("principal.id == 'x'", "principal",
         "unknown name 'principal'; did you mean credential.principal?"),
        ("credentials.status == 'active'", "credentials",
         "unknown name 'credentials'; did you mean 'credential'?"),
        ("xyzzy", "xyzzy", "unknown name 'xyzzy'; known: credential, parameters, now"),
        ("parameters.idlefor > duration('1d')", "idlefor",
         "unknown parameter 'idlefor'; did you mean 'idle_for'?"),
        ("parameters.zzz", "zzz", "unknown parameter 'zzz'; known: bits, idle_for"),
        ("credential == 'x'", "credential", "'credential' is a group; write credential.<name>"),
        ("parameters == 'x'", "parameters", "'parameters' is a group"),
        ("credential.principal == 'x'", "credential.principal",
         "credential.principal is a group; name one of credential.principal.id"),
        ("credential.raw.id == 'x'", "credential.raw.id", "kept for the newest reading only"),
        ("credential.raw == null", "credential.raw", "kept for the newest reading only"),
        ("credential.name.first == 'x'", "first", "text has no field 'first'"),
        ("'abc'.first == 'x'", "first", "text has no field 'first'"),
        ("parameters.teams.exists(x, x.first == 'x')", "first", "text has no field 'first'"),
        ("now.first == 'x'", "first", "a time has no field 'first'"),
        ("credential['name'] == 'x'", "credential", "'credential' is a group"),
        # types
        ("credential.name", "credential.name", "a condition must be true or false, not text"),
        ("credential.status", "credential.status", "compare it with '=='"),
        ("credential.idle_for > '45d'", "credential.idle_for > '45d'",
         "'>' does not compare a duration with text; write duration('45d')"),
        ("credential.created_at < '2026'", "credential.created_at < '2026'",
         "write timestamp('2026-01-31T00:00:00Z')"),
        ("credential.name == 1", "credential.name == 1",
         "'==' does not compare text with a whole number"),
        ("true < false", "true < false", "'<' does not compare true or false"),
        ("credential.tags == credential.tags", "credential.tags == credential.tags",
         "'==' does not compare a map"),
        ("parameters.teams == ['a']", "parameters.teams == ['a']",
         "'==' does not compare a list (text)"),
        ("credential.name && true", "credential.name", "what '&&' joins must be true or false"),
        ("!credential.name", "credential.name", "what follows '!' must be true or false"),
        ("-credential.name == 'x'", "-credential.name", "'-' takes a number, not text"),
        ("-duration('1d') < duration('1d')", "-duration('1d')", "write duration('-5d')"),
        ("credential.name + 'x' == 'x'", "credential.name + 'x'",
         "'+' does not join text and text"),
        ("now + now > now", "now + now", "'+' does not join a time and a time"),
        ("1 + 1.5 > 2.0", "1 + 1.5", "'+' does not join a whole number and a number"),
        ("1 * 2 == 2", "*", "only + and - are supported"),
        ("4 / 2 == 2", "/", "only + and - are supported"),
        ("4 % 2 == 0", "%", "only + and - are supported"),
        ("credential.name ? true : false", "credential.name",
         "what stands before '?' must be true or false"),
        ("(true ? 1 : 'a') == 1", "true ? 1 : 'a'",
         "'?' chooses between a whole number and text"),
        ("[1, 'a'].exists(x, x == 1)", "'a'", "a list holds one type: a whole number, not text"),
        ("size([]) == 0", "[]", "an empty list holds nothing"),
        ("1 in ['a']", "'a'", "'==' does not compare a whole number with text"),
        ("credential.created_at in ['a']", "'a'", "does not compare a time with text"),
        ("1 in credential.name", "credential.name",
         "'in' looks into a list or a map, not into text"),
        ("1 in parameters.teams", "1 in parameters.teams", "cannot be in a list (text)"),
        ("1 in credential.tags", "1", "a key must be text, not a whole number"),
        ("parameters.teams[0] == 'a'", "parameters.teams[0]", "use 'in' or .exists()"),
        ("credential.name[0] == 'a'", "credential.name[0]", "text has no entries"),
        ("credential.tags[0] == 'a'", "credential.tags[0]",
         "the key of a map is text, not a whole number"),
        # states
        ("credential.status == 'activ'", "'activ'",
         ("'activ' is not one of active, inactive, expired, revoked, unknown; "
         "did you mean 'active'?")),
        ("'Active' != credential.status", "'Active'", "did you mean 'active'?"),
        ("credential.status in ['active', 'dead']", "'dead'", "'dead' is not one of"),
        ("credential.status in [1]", "1", "does not compare"),
        ("credential.status in parameters.teams", "parameters.teams", "'platform' is not one of"),
        ("credential.status == credential.name", "credential.status == credential.name",
         "compare it with one of active"),
        ("credential.status == 1", "credential.status == 1", "compare it with one of active"),
        ("credential.status == credential.privilege", "credential.status == credential.privilege",
         "compare it with one of active"),
        ("credential.privilege >= 'write'", "credential.privilege >= 'write'",
         "a state has no order"),
        ("credential.status in [credential.status]", "credential.status", None),
        ("credential.status.startsWith('a')", "credential.status", "compare it with '=='"),
        # guards
        ("credential.owner == 'x'", "credential.owner",
         "credential.owner may be null; guard it: credential.owner != null && …"),
        ("credential.owner == 'x' && credential.owner != null", "credential.owner", "may be null"),
        ("credential.owner != null || credential.owner == 'x'", "credential.owner", "may be null"),
        ("credential.owner == null && credential.owner == 'x'", "credential.owner", "may be null"),
        ("(credential.owner != null || true) && credential.owner == 'x'", "credential.owner",
         "may be null"),
        ("!(credential.owner != null) && credential.owner == 'x'", "credential.owner",
         "may be null"),
        ("credential.owner == null ? credential.owner == 'x' : true", "credential.owner",
         "may be null"),
        ("credential.url != null && credential.owner == 'x'", "credential.owner", "may be null"),
        ("now > credential.rotated_at", "credential.rotated_at", "may be null"),
        ("size(credential.restrictions) > 0", "credential.restrictions", "may be null"),
        ("credential.tags['env'] == 'x'", "credential.tags['env']",
         'this entry may be absent; guard it: "env" in credential.tags && …'),
        ("credential.tags.env == 'x'", "credential.tags.env", "may be absent"),
        ("'a' in credential.tags && credential.tags['b'] == 'x'", "credential.tags['b']",
         "may be absent"),
        (("'a\"][\"b' in credential.permissions && 'a' in credential.permissions"
         " && credential.permissions['a']['b']"), "credential.permissions['a']['b']",
         "may be absent"),
        ("credential.tags.exists(k, credential.permissions[k].exists(v, true))",
         "credential.permissions[k]", "guard it: k in credential.permissions"),
        ("credential.tags[credential.name.lowerAscii()] == 'x'",
         "credential.tags[credential.name.lowerAscii()]", "a key is text in quotes"),
        # null
        ("credential.created_at == null", "credential.created_at == null",
         "has(…) tells whether it is known"),
        ("credential.name == null", "credential.name == null", "remove this"),
        ("1 == null", "1 == null", "only a field that may be absent can be null"),
        ("null", "null", "null can only be compared"),
        ("[null].exists(x, true)", "null", "null can only be compared"),
        # calls
        ("has(credential.name)", "has(credential.name)", "credential.name is always there"),
        ("has(credential.status)", "has(credential.status)", "a state is always there"),
        ("has('x')", "'x'", "has() asks about a field or an entry of a map"),
        ("has(credential.owner, 1)", "has(credential.owner, 1)", "has(field) takes 1, not 2"),
        ("has(parameters.bits)", "has(parameters.bits)", "parameters.bits is always there"),
        ("sice('x') == 1", "sice('x')", "unknown function sice(); did you mean 'size'?"),
        ("'x'.startswith('x')", "'x'.startswith('x')", "did you mean 'startsWith'?"),
        ("startsWith('x', 'x')", "startsWith('x', 'x')", "it belongs behind a value and a dot"),
        ("credential.permissions.granted('a', 'b')", "credential.permissions.granted('a', 'b')",
         "write granted(…)"),
        ("[1].map(x, x) == [1]", "[1].map(x, x)", "map() is not supported; known: all, contains"),
        ("int('1') == 1", "int('1')", "int() is not supported"),
        ("size(1) == 1", "1", "size() counts text, a list or a map, not a whole number"),
        ("size('a', 'b') == 1", "size('a', 'b')", "size(value) takes 1, not 2"),
        ("'a'.size(1) == 1", "'a'.size(1)", "size() takes 0, not 1"),
        ("'a'.lowerAscii(1) == 'a'", "'a'.lowerAscii(1)", "takes 0, not 1"),
        ("'a'.startsWith(1)", "1", "the argument of startsWith() must be text"),
        ("granted(credential.tags, 'a', 'b')", "credential.tags", "must be a permission map"),
        ("granted(credential.permissions, 1, 'b')", "1", "the resource type must be text"),
        ("granted_count(credential.tags) > 1", "credential.tags", "must be a permission map"),
        ("duration('soon') > duration('1d')", "'soon'", "is not a duration; write 45d"),
        ("duration(1) > duration('1d')", "1", "a duration must be written in quotes"),
        ("duration(credential.name) > duration('1d')", "credential.name", "written in quotes"),
        ("timestamp('2026') < now", "'2026'", "write 2026-01-31T00:00:00Z"),
        ("timestamp(credential.name) < now", "credential.name", "a time must be written in quotes"),
        ("'a'.matches(credential.name)", "credential.name", "a pattern must be written in quotes"),
        ("'a'.matches('(')", "'('", "a group is not closed"),
        ("parameters.teams.exists('x', true)", "'x'", "the first argument of exists() is a new"),
        ("parameters.teams.exists(now, true)", "now", "the name 'now' is taken"),
        ("parameters.teams.exists(x, [1].all(x, true))", "x", "the name 'x' is taken"),
        ("parameters.teams.exists(x, 1)", "1", "the condition of exists() must be true or false"),
        ("[1].exists(a, [1].exists(b, [1].exists(c, [1].exists(d, true))))",
         "[1].exists(d, true)", "loops nested deeper than 3 levels"),
        ("credential.name.exists(x, true)", "credential.name", "exists() goes through a list"),
        ("parameters.teams.exists(x, true) && x == 'a'", "x", "unknown name 'x'"),
        # words
        ("1 < 2 < 3", "<", "comparisons cannot be chained; join two with '&&'"),
        ("1 == 1 and true", "and", "write '&&'"),
        ("1 == 1 or true", "or", "write '||'"),
        ("not true", "not", "write '!'"),
        ("credential.status = 'active'", "=", "compare with '=='"),
        ("true & true", "&", "write '&&'"),
        ("true | true", "|", "write '||'"),
        ("“a” == 'a'", "“", "use straight quotes"),
        ("true // why", "//", "comments are not part of an expression"),
        ("true # why", "#", "comments are not part of an expression"),
        ("true ~ true", "~", "unexpected '~'"),
        ("45d < 1", "45d", "write durations as duration('45d')"),
        ("1u < 2", "1u", "unsigned numbers are not supported"),
        ("1x < 2", "1x", "a number must not be followed by a letter"),
        ("9223372036854775808 > 0", "9223372036854775808", "does not fit 64 bits"),
        ("999999999999999999999999 > 0", "999999999999999999999999", "does not fit 64 bits"),
        ("1e999 > 0.0", "1e999", "the number is too large"),
        ("'abc", "'abc", "the text is not closed; add a '"),
        ("'abc\n' == 'a'", "'abc", "the text is not closed"),
        ("'''a''' == 'a'", "'''", "triple quotes are not supported"),
        ("b'a' == b'a'", "b", "bytes are not supported"),
        (r"'\d' == 'a'", r"\d", "unknown escape"),
        (r"'\ud800' == 'a'", r"\u", "unknown escape"),
        (r"'\x4' == 'a'", r"\x", "unknown escape"),
        ("{'a': 1} == 1", "{", "maps cannot be written here"),
        ("(true", "", "the expression ends where ')' is expected"),
        ("true)", ")", "expected an operator, not ')'"),
        ("true &&", "", "the expression ends where a value is expected"),
        ("credential.", "", "the expression ends where a name is expected"),
        ("credential.'a'", "'a'", "expected a name"),
        ("[1 2]", "2", "expected ','"),
        ("true ? true", "", "the expression ends where ':' is expected"),
        ("for == 1", "for", "expected a value, not 'for'"),
        ("in == 1", "in", "expected a value, not 'in'"),
        ("", "", "the expression is empty"),
        ("  ", " ", "the expression is empty"),
    ],
)  # fmt: skip
def test_mistakes_are_pointed_at(
    compiled: Callable[[str], Condition], text: str, part: str, message: str | None
) -> None:
    if message is None:
        compiled(text)
        return
    found, said = pointed(compiled, text)
    assert message in said
    assert found == part


def test_an_expression_is_bounded_in_length_words_and_depth(
    compiled: Callable[[str], Condition],
) -> None:
    assert "longer than 8,000" in pointed(compiled, "true" + " " * 8_000)[1]
    assert "more than 1,000 words" in pointed(compiled, " && ".join(["true"] * 600))[1]
    compiled(" && ".join(["true"] * 400))
    for deep in ("(" * 40 + "true" + ")" * 40, "!" * 40 + "true", "1" + " + 1" * 40 + " == 41",
                 "'a'" + ".lowerAscii()" * 40 + " == 'a'", "true ? " * 40 + "1",
                 "[" * 40 + "]" * 40, "credential.tags" + "['a']" * 40,
                 "true ? true : " * 40 + "true"):  # fmt: skip
        assert "nested deeper than 32 levels" in pointed(compiled, deep)[1]


POLICY = """\
id: resting
title: Resting
severity: low
category: dormant
when: {when}
message: m
rationale: r
remediation: {{summary: s}}
"""


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        ("credential.idel_for > duration('1d')",
         ("5:18: unknown field credential.idel_for; did you mean credential.idle_for?\n"
         "    when: credential.idel_for > duration('1d')\n"
         "                     ^~~~~~~~")),
        (">\n  credential.status == 'active' &&\n    credential.idel_for > duration('1d')",
         ("7:16: unknown field credential.idel_for; did you mean credential.idle_for?\n"
         "        credential.idel_for > duration('1d')\n"
         "                   ^~~~~~~~")),
        ("|\n  credential.status\n  > 'active'",
         ("6:3: a state has no order; compare it with '==', '!=' or 'in'\n"
         "      credential.status\n"
         "      ^~~~~~~~~~~~~~~~~")),
        ('"credential.status == \\"activ\\""',
         ("5:29: 'activ' is not one of active, inactive, expired, revoked, unknown; "
         "did you mean 'active'?\n"
         '    when: "credential.status == \\"activ\\""\n'
         "                                ^~~~~~~~")),
        ("'credential.status == ''activ'''",
         ("5:29: 'activ' is not one of active, inactive, expired, revoked, unknown; "
         "did you mean 'active'?\n"
         "    when: 'credential.status == ''activ'''\n"
         "                                ^~~~~~~~")),
        ("credential.status ==",
         ("5:27: the expression ends where a value is expected\n"
         "    when: credential.status ==\n"
         "                              ^")),
    ],
)  # fmt: skip
def test_the_caret_stands_below_the_mistake_in_the_file(
    tmp_path: Path, when: str, shown: str
) -> None:
    path = tmp_path / "resting.yaml"
    path.write_text(POLICY.format(when=when))
    with pytest.raises(PolicyError) as caught:
        read(path)
    assert str(caught.value) == f"{path}:{shown}"
