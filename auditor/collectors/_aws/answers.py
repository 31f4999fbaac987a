"""What AWS answers, as plain data: XML of the Query protocol and JSON.

XML is read without a model: an element whose children are all called ``member`` is a list. An
element without children is a text, so an empty list arrives as ``""``; `listed` knows that.
"""

from typing import Any
from xml.parsers import expat

import msgspec

from auditor.errors import UnexpectedResponse

Record = dict[str, Any]


class _Reader:
    """Builds plain data while expat reads: a tree of elements would double the peak of memory."""

    def __init__(self) -> None:
        self._open: list[tuple[str, list[tuple[str, Any]], list[str]]] = [("", [], [])]

    def start(self, name: str, _attributes: Any) -> None:
        self._open.append((name, [], []))

    def data(self, text: str) -> None:
        self._open[-1][2].append(text)

    def end(self, _name: str) -> None:
        name, children, texts = self._open.pop()
        self._open[-1][1].append((name, _content(children, texts)))

    def doctype(self, *_facts: Any) -> None:
        raise _Declares

    @property
    def result(self) -> Any:
        return self._open[0][1][0][1]


class _Declares(Exception):
    """The document declares a type of its own, and so maybe entities."""


def xml(body: bytes, where: str) -> Any:
    """Return the content of an XML document; raises `UnexpectedResponse`, which quotes nothing."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(body, True)  # noqa: FBT003 - this is the last of it
    except _Declares:
        raise UnexpectedResponse(
            f"{where} answered with XML that may declare entities; not read"
        ) from None
    except expat.ExpatError:
        raise UnexpectedResponse(
            f"{where} answered with what is not XML; is `endpoint_url` the address of AWS?"
        ) from None
    return reader.result


def _content(children: list[tuple[str, Any]], texts: list[str]) -> Any:
    if not children:
        return "".join(texts)
    first = children[0][0]
    if first == "member":
        return [value for _name, value in children]
    if first == "entry":
        return {
            pair.get("key", ""): pair.get("value")
            for _name, pair in children
            if isinstance(pair, dict)
        }
    return dict(children)


def json(body: bytes, where: str) -> Any:
    """Return a JSON document; raises `UnexpectedResponse`, which quotes nothing."""
    try:
        return msgspec.json.decode(body) if body else {}
    except (ValueError, RecursionError):
        raise UnexpectedResponse(f"{where} answered with what is not JSON") from None


def result(document: Any, action: str, where: str) -> Record:
    """Return the part of a Query answer that holds the result; empty where there is none."""
    found = document.get(f"{action}Result") if isinstance(document, dict) else None
    if isinstance(found, dict):
        return found
    if isinstance(document, dict) and (found == "" or "ResponseMetadata" in document):
        return {}
    raise UnexpectedResponse(f"{where} answered without the result of {action}")


def listed(record: Record, name: str, where: str = "AWS") -> list[Any]:
    """Return the list *name* of a record; raises `UnexpectedResponse` for anything else."""
    value = record.get(name)
    if value is None or value == "":
        return []
    if isinstance(value, list):
        return value
    raise UnexpectedResponse(f"{where} answered with {name} that is not a list")


def text(record: Any, name: str) -> str:
    """Return a text of a record, empty where it is absent or something else."""
    value = record.get(name) if isinstance(record, dict) else None
    return value.strip() if isinstance(value, str) else ""
