"""Reports as attachments, cut to what a mailbox takes."""

import io
from dataclasses import dataclass, replace
from itertools import islice

from auditor.delivery._letter import Enclosure
from auditor.delivery.interface import Document
from auditor.findings.view import ReportView
from auditor.model import Credential

_BASE64 = 78 / 57
"""Base64 in lines of 76 characters."""
_STEPS = (5000, 1000, 200, 50, 10)


class _TooLargeError(Exception):
    """The document does not fit; rendering stops as soon as that is known."""


class _Bounded(io.BytesIO):
    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        if self.tell() + len(data) > self._limit:
            raise _TooLargeError
        return super().write(data)


@dataclass(frozen=True)
class Enclosed:
    """What became of one report."""

    enclosure: Enclosure | None
    note: str
    """One sentence for the mail where the report is not whole, else empty."""


def enclose(
    view: ReportView, names: list[str], documents: list[Document], room: int
) -> list[Enclosed]:
    """Render *documents* (formats called *names*) into at most *room* bytes of mail together."""
    enclosed = []
    for name, document in zip(names, documents, strict=True):
        one = _fit(view, name, document, int(room / _BASE64))
        if one.enclosure is not None:
            room -= int(len(one.enclosure.content) * _BASE64) + 1
        enclosed.append(one)
    return enclosed


def _fit(view: ReportView, name: str, document: Document, room: int) -> Enclosed:
    filename = document.filename.format(run=view.run.id)
    content = _render(view, document, room)
    if content is not None:
        return Enclosed(Enclosure(filename, document.media_type, content), "")
    whole = f"auditor report --run {view.run.id} --format {name}"
    for count in _STEPS:
        content = _render(_first(view, count), document, room)
        if content is not None:
            stem, dot, suffix = filename.partition(".")
            short = f"{stem}-first-{count}{dot}{suffix}"
            return Enclosed(
                Enclosure(short, document.media_type, content),
                f"The {name} report is too large for this mail: {short} holds the {count:,} "
                f"findings with the highest risk. All of it: {whole}",
            )
    return Enclosed(
        None, f"The {name} report is too large for this mail and left out. All of it: {whole}"
    )


def _render(view: ReportView, document: Document, room: int) -> bytes | None:
    out = _Bounded(max(room, 0))
    try:
        document.render(view, out)
    except _TooLargeError:
        return None
    return out.getvalue()


def _first(view: ReportView, count: int) -> ReportView:
    """Return *view* with its first *count* findings and the credentials they are about."""

    def credentials() -> list[Credential]:
        kept = {one.credential.uid: one.credential for one in islice(view.findings(), count)}
        return [kept[uid] for uid in sorted(kept)]

    return replace(
        view,
        findings=lambda: islice(view.findings(), count),
        credentials=lambda: iter(credentials()),
    )
