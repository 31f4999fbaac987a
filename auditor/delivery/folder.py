"""Reports into a folder, such as a network share or a web server's, with retention."""

import io
import os
import re
from itertools import islice
from pathlib import Path
from typing import Annotated

from pydantic import Field

from auditor.delivery._news import NewsOptions, When, is_told
from auditor.delivery.interface import Channel, Document, Parcel
from auditor.errors import DeliveryError
from auditor.findings.view import ReportView


class FolderOptions(NewsOptions):
    """The keys of a folder."""

    when: When = When.ALWAYS
    directory: Path
    formats: Annotated[tuple[str, ...], Field(min_length=1)] = ("html", "json")
    keep: int | None = Field(default=None, ge=1)
    """How many reports of each format stay; all of them where left out."""


class Folder(Channel):
    """Writes each format as one file that is whole or absent, and removes the oldest."""

    suffix = ".message"
    Options = FolderOptions

    def recipients(self, view: ReportView) -> list[str]:
        """Return the formats where the run is news: each is a delivery of its own."""
        options: FolderOptions = self.options
        if not is_told(view, options):
            return []
        return list(dict.fromkeys(options.formats))

    def render(self, view: ReportView, parcel: Parcel) -> bytes:
        """Return the report, after one line with its file's name."""
        document = self.documents(parcel.recipient)
        out = io.BytesIO()
        out.write(document.filename.format(run=view.run.id).encode() + b"\n")
        document.render(view, out)
        return out.getvalue()

    async def send(self, body: bytes, parcel: Parcel) -> None:
        """Write the file and remove what is beyond retention."""
        name, _, content = body.partition(b"\n")
        options: FolderOptions = self.options
        folder = self.directory / options.directory
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(folder / name.decode(), content)
            if options.keep is not None:
                _prune(folder, self.documents(parcel.recipient), options.keep)
        except OSError as error:
            raise DeliveryError(
                f"The report cannot be written to {folder}: {error.strerror}; mend `directory`"
            ) from error


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _prune(folder: Path, document: Document, keep: int) -> None:
    """Remove all but the newest *keep* files that carry this format's name and a run number."""
    pattern = re.compile(re.escape(document.filename).replace(r"\{run\}", r"(\d+)"))
    numbered = ((pattern.fullmatch(path.name), path) for path in folder.iterdir())
    ours = sorted(((int(match[1]), path) for match, path in numbered if match), reverse=True)
    for _, path in islice(ours, keep, None):
        path.unlink(missing_ok=True)
