from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from auditor.errors import ConfigError, PolicyError
from auditor.validation import did_you_mean
from auditor.yamlfile import MAX_BYTES, load, parse


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("a: 1", {"a": 1}),
        ("a: -17\nb: +3\nc: 0", {"a": -17, "b": 3, "c": 0}),
        ("a: 1.5\nb: -.5\nc: 1e3\nd: 2.", {"a": 1.5, "b": -0.5, "c": 1000.0, "d": "2."}),
        ("a: true\nb: False\nc: TRUE", {"a": True, "b": False, "c": True}),
        ("a: yes\nb: no\nc: on\nd: off", {"a": "yes", "b": "no", "c": "on", "d": "off"}),
        ("a:\nb: ~\nc: null", {"a": None, "b": None, "c": None}),
        ("a: 010\nb: 12:30\nc: 0x1f", {"a": "010", "b": "12:30", "c": "0x1f"}),
        ("a: 123456789012345678901", {"a": "123456789012345678901"}),
        ("a: .inf\nb: .nan\nc: .\nd: e5", {"a": ".inf", "b": ".nan", "c": ".", "d": "e5"}),
        ("a: 2026-01-01\nb: 2026-01-01T00:00:00Z",
         {"a": "2026-01-01", "b": "2026-01-01T00:00:00Z"}),
        ("a: '1'\nb: \"true\"\nc: |\n  1\n", {"a": "1", "b": "true", "c": "1\n"}),
        ("1: a\ntrue: b\n1.10: c\n~: d", {"1": "a", "true": "b", "1.10": "c", "~": "d"}),
        ("a: [1, [2], {b: 3}]", {"a": [1, [2], {"b": 3}]}),
        ("- a\n- b: c", ["a", {"b": "c"}]),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("a: é # comment\r\nb: 2\r\n", {"a": "é", "b": 2}),
        ("--- \na: 1\n...\n", {"a": 1}),
    ],
)  # fmt: skip
def test_scalars_mean_what_they_look_like(text: str, data: object) -> None:
    assert parse(text, "x.yaml").data == data


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1", "1:4: anchors (&x) are not allowed"),
        ("a: &x {}", "1:4: anchors (&x) are not allowed"),
        ("a: *x", "1:4: aliases (*x) are not allowed"),
        ("a: !!python/object/apply:os.system [id]", "1:4: tags (tag:yaml.org"),
        ("a: !x 1", "1:4: tags (!x) are not allowed"),
        ("a: 1\nb: 2\na: 3", "3:1: the key 'a' stands here twice"),
        ("x: {a: 1, a: 2}", "1:11: the key 'a' stands here twice"),
        ("a: 1\n---\nb: 2", "2:1: one document per file"),
        ("? [1]\n: 2", "1:3: a key must be text"),
        ("? {a: 1}\n: 2", "1:3: a key must be text"),
        ("[" * 33 + "]" * 33, "1:33: nested deeper than 32 levels"),
        ("a: [1", "not valid YAML"),
        ("a: b: c", "1:5: not valid YAML: mapping values are not allowed"),
        ("a:\n\t- b", "2:1: not valid YAML: found character that cannot start any token"),
        ("a: \x00", "1:4: not valid YAML: the character U+0000"),
        ("a: '", "not valid YAML"),
        ("a: \ud800", "not UTF-8"),
        ("%YAML 9.9\n---\na: 1", "not valid YAML"),
        ("x" * (MAX_BYTES + 1), "larger than 1,000,000 bytes"),
    ],
)
def test_what_is_outside_the_subset_is_an_error_with_a_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "x.yaml")
    assert str(caught.value).startswith("x.yaml:")
    assert message in str(caught.value)


def test_nesting_far_beyond_the_limit_does_not_exhaust_the_stack() -> None:
    with pytest.raises(ConfigError, match="nested deeper"):
        parse("[" * 100_000, "x.yaml")


def test_a_message_about_broken_yaml_quotes_no_value() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("token: 's3cr3t", "x.yaml")
    assert "s3cr3t" not in str(caught.value)


def test_files_are_read_as_utf_8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes("\ufeffa: é".encode())
    document = load(path)
    assert document.data == {"a": "é"}
    assert document.locate(("a",)) == (1, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: \xff", ":2:1: not UTF-8"),
        (b"x" * (MAX_BYTES + 1), "larger than 1,000,000 bytes"),
    ],
)
def test_unreadable_content_is_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        load(path, error=PolicyError)
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or directory; check the path"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="is a directory"):
        load(tmp_path)


DOCUMENT = parse(
    """\
a: 1
when: >
  credential.x == 1 &&

  credential.y == 2
lit: |
  foo
    bar baz
double: "say \\"hi\\" \\u0041\\tthere"
single: 'it''s me'
plain: plain over
  two lines
list: [a, {b: c}]
""",
    "x.yaml",
)


@pytest.mark.parametrize(
    ("path", "part", "place"),
    [
        (("when",), "credential.x", (3, 3)),
        (("when",), "credential.y", (5, 3)),
        (("when",), "2", (5, 19)),
        (("lit",), "baz", (8, 9)),
        (("double",), "hi", (9, 16)),
        (("double",), "there", (9, 29)),
        (("single",), "me", (10, 16)),
        (("plain",), "lines", (12, 7)),
        (("a",), None, (1, 4)),
        (("none", "deeper"), None, (1, 1)),
        (("list", 1, "b"), "c", (13, 15)),
    ],
)
def test_a_place_inside_a_text_is_found_whatever_its_style(
    path: tuple[str | int, ...], part: str | None, place: tuple[int, int]
) -> None:
    offset = DOCUMENT.at(path).index(part) if part else 0
    assert DOCUMENT.locate_in(path, offset) == place


def test_an_empty_text_is_where_it_begins() -> None:
    assert parse("a: ''", "x.yaml").locate_in(("a",), 0) == (1, 5)


def test_the_end_of_a_text_is_behind_its_last_visible_character() -> None:
    assert DOCUMENT.locate_in(("when",), 10_000) == (5, 20)


def test_values_and_keys_are_located_and_unknown_paths_by_their_beginning() -> None:
    assert DOCUMENT.locate(("list", 1, "b")) == (13, 15)
    assert DOCUMENT.locate(("list", 1, "b"), key=True) == (13, 12)
    assert DOCUMENT.locate(("list", 7, "b"), key=True) == (13, 7)
    assert DOCUMENT.locate(()) == (1, 1)
    assert parse("", "x.yaml").locate(("a",)) == (1, 1)
    assert DOCUMENT.at(("list", 9)) is None
    assert DOCUMENT.line(1) == "a: 1"
    assert DOCUMENT.line(99) == ""


class Leaf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    host: str
    tls: Literal["starttls", "tls", "none"] = "tls"


class Pinned(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pin: str


class Tree(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(alias="title")
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    named: dict[str, Leaf] = Field(default_factory=dict)
    either: Leaf | Pinned | None = None
    deep: tuple[Annotated[Leaf, "noted"], ...] = ()
    words: list[str] | tuple[str, ...] = ()
    count: int = 0

    @field_validator("count")
    @classmethod
    def _positive(cls, value: int) -> int:
        if value < 0:
            raise ValueError("Must be positive; remove the minus")
        return value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\nleef: {}", "2:1: unknown key 'leef'; did you mean 'leaf'? (known: count, "),
        ("title: x\nleaf: {host: a, tsl: b}",
         "2:17: unknown key 'tsl'; did you mean 'tls'? (known: host, tls)"),
        ("title: x\nleaves:\n  - host: a\n  - {host: a, hots: b}",
         "4:15: unknown key 'hots'; did you mean 'host'? (known: host, tls)"),
        ("title: x\nnamed: {one: {host: a, zzz: b}}", "2:24: unknown key 'zzz' (known: host, tls)"),
        ("title: x\nleaf: {host: a, tls: stattls}",
         "2:22: leaf.tls must be 'starttls', 'tls' or 'none'; did you mean 'starttls'?"),
        ("title: x\nleaf: {host: a, tls: 1}", "2:22: leaf.tls must be 'starttls', 'tls' or 'none'"),
        ("title: x\nleaf: {}", "2:7: leaf: 'host' is missing"),
        ("count: 1", "1:1: the file: 'title' is missing"),
        ("title: x\ncount: many", "2:8: count: input should be a valid integer"),
        ("title: x\ncount: -1", "2:8: count: must be positive; remove the minus"),
        ("title: x\neither: {pin: 1}", "2:15: either.pin: input should be a valid string"),
        ("title: x\neither: {hots: a}", "unknown key 'hots'; did you mean 'host'?"),
        ("title: x\ndeep: [{hots: a}]", "2:9: unknown key 'hots'; did you mean 'host'?"),
        ("title: x\nwords: [1]", "2:9: words.0: input should be a valid string"),
        ("- a", "1:1: the file must hold keys and values"),
        ("", "1:1: the file is empty"),
    ],
)  # fmt: skip
def test_what_pydantic_finds_is_said_with_place_and_hint(text: str, message: str) -> None:
    document = parse(text, "x.yaml", error=PolicyError)
    with pytest.raises(PolicyError) as caught:
        document.validate(Tree)
    assert f"x.yaml:{message}" in str(caught.value) or message in str(caught.value)


def test_every_mistake_is_listed_once_and_no_value_is_quoted() -> None:
    document = parse("title: 7531\nleaf: {hst: s3cr3t}\ncount: s3cr3t", "x.yaml")
    with pytest.raises(ConfigError) as caught:
        document.validate(Tree)
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "x.yaml:1:8", "x.yaml:2:7", "x.yaml:2:8", "x.yaml:3:8",
    ]  # fmt: skip
    assert "s3cr3t" not in str(caught.value)


def test_a_part_of_a_file_can_be_validated() -> None:
    document = parse("here:\n  - host: a\n  - hots: b", "x.yaml")
    assert document.validate(Leaf, ("here", 0)).host == "a"
    with pytest.raises(ConfigError) as caught:
        document.validate(Leaf, ("here", 1))
    assert "x.yaml:3:5: unknown key 'hots'; did you mean 'host'?" in str(caught.value)
    assert "x.yaml:3:5: here.1: 'host' is missing" in str(caught.value)
    with pytest.raises(ConfigError, match="nowhere is empty"):
        document.validate(Leaf, ("nowhere",))


def test_names_that_are_not_close_get_no_hint() -> None:
    assert did_you_mean("abc", ["xyz"]) == ""
    assert did_you_mean("polcy", ["policy"]) == "; did you mean 'policy'?"
