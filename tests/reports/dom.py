"""A page as a browser would parse it."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

import html5lib

Skeleton = list[tuple[str, tuple[str, ...]]]


def parsed(raw: bytes) -> Element:
    """Return the document as a tree; html5lib parses like a browser."""
    root: Element = html5lib.parse(raw, transport_encoding="utf-8", namespaceHTMLElements=False)
    return root


def elements(root: Element) -> Iterator[Element]:
    """Yield the elements in document order, comments left out."""
    return (one for one in root.iter() if isinstance(one.tag, str))


def skeleton(raw: bytes) -> Skeleton:
    """Return every element with the names of its attributes: what text must never change."""
    return [(one.tag, tuple(sorted(map(str, one.attrib)))) for one in elements(parsed(raw))]
