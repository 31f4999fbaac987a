"""Adding an entry to the exceptions file, which otherwise stays as people wrote it."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from auditor.errors import ConfigError
from auditor.findings.exceptions import PolicyException, PolicyExceptions
from auditor.yamlfile import Document, load, parse, scalar

_HEADER = "# Dated, approved decisions not to act on a finding; reviewed like code.\nexceptions:\n"
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._/-]*(?: [A-Za-z0-9@._/-]+)*")
_EMPTY_LIST = re.compile(r"^exceptions:[ \t]*(?:\[[ \t]*\])[ \t]*$", re.MULTILINE)


def append(path: Path, entry: PolicyException, *, max_days: int | None = None) -> None:
    """Add *entry* at the end of the file at *path*, which need not exist yet.

    The file is replaced in one step, and only where the result reads as before plus the entry;
    else `ConfigError`, with the text to add by hand.
    """
    before = load(path) if path.exists() else parse(_HEADER, str(path))
    existing = PolicyExceptions.read(before).entries
    block = render(entry)
    try:
        after = parse(_joined(before, block), str(path))
        is_added = PolicyExceptions.read(after).entries == (*existing, entry)
    except ConfigError:
        is_added = False
    if not is_added:
        raise ConfigError(f"{path}: cannot add to a file of this layout; add by hand:\n{block}")
    PolicyExceptions.read(after, max_days=max_days)
    _replace(path, after.text)


def render(entry: PolicyException) -> str:
    """Return *entry* as lines of YAML, a list item at the margin."""
    data = entry.model_dump(mode="json", exclude_none=True)
    lines = list(_lines(data))
    return "\n".join([f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]) + "\n"


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    for name, value in data.items():
        key = _scalar(name)
        if isinstance(value, Mapping):
            yield f"{key}:"
            yield from (f"  {line}" for line in _lines(value))
        elif isinstance(value, str):
            yield f"{key}: {_scalar(value)}"
        else:
            yield f"{key}: [{', '.join(_quoted(one) for one in value)}]"


def _scalar(text: str) -> str:
    """Return *text* plain where that is safe in YAML, else quoted."""
    is_plain = _PLAIN.fullmatch(text) and isinstance(scalar(text), str)
    return text if is_plain else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else _escape(one) for one in escaped) + '"'


def _escape(character: str) -> str:
    point = ord(character)
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def _joined(before: Document, block: str) -> str:
    """Return the text of the file with *block* as the last item of its list."""
    text = before.text or _HEADER
    text += "" if text.endswith("\n") else "\n"
    if before.data is None and before.text:
        text += "exceptions:\n"
    text = _EMPTY_LIST.sub("exceptions:", text)
    line, _ = before.locate(("exceptions", 0))
    first = before.line(line)
    has_items = before.at(("exceptions", 0)) is not None
    indent = first[: len(first) - len(first.lstrip())] if has_items else "  "
    return text + "".join(f"{indent}{one}\n" for one in block.splitlines())


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8", newline="\n")
        if path.exists():
            unfinished.chmod(path.stat().st_mode & 0o777)
        unfinished.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
