"""Findings as OCSF events into Splunk's HTTP Event Collector.

Splunk keeps what it is sent twice; search by ``finding_info.uid`` and ``time`` to count once.
Source: Splunk, "Format events for HTTP Event Collector".
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from auditor.delivery._carried import CarriedOptions, carried
from auditor.delivery._news import is_told
from auditor.delivery._post import Target, Url, post, shown_origin
from auditor.delivery.interface import Channel, Parcel
from auditor.findings.view import ReportView

_BATCH = 500_000
"""Bytes of one request; the collector's own limit is 1 MB by default."""


class SplunkOptions(CarriedOptions):
    """The keys of a Splunk collector."""

    url: Url
    """With the path, usually ``https://splunk.example.com:8088/services/collector/event``."""
    token: str
    index: str | None = None
    source: str = "auditor"
    sourcetype: str = "ocsf:finding"
    timeout: float = Field(default=30, gt=0, le=240)
    ca_bundle: Path | None = None


class SplunkHec(Channel):
    """Posts one event per finding, in batches."""

    Options = SplunkOptions

    def recipients(self, view: ReportView) -> list[str]:
        """Return the collector's origin where the run is news."""
        options: SplunkOptions = self.options
        if not is_told(view, options):
            return []
        return [shown_origin(self.resolve(options.url))]

    def render(self, view: ReportView, parcel: Parcel) -> bytes:  # noqa: ARG002 - one body for all
        """Return one line per event, in the collector's envelope."""
        options: SplunkOptions = self.options
        fixed = {"source": options.source, "sourcetype": options.sourcetype}
        if options.index is not None:
            fixed["index"] = options.index
        lines = carried(view, options, self.documents("ocsf")).splitlines()
        return b"".join(_envelope(line, fixed) + b"\n" for line in lines if line)

    async def send(self, body: bytes, parcel: Parcel) -> None:  # noqa: ARG002 - events name it
        """Post the events."""
        options: SplunkOptions = self.options
        target = Target(
            self.resolve(options.url),
            options.timeout,
            options.ca_bundle and self.directory / options.ca_bundle,
            {
                "authorization": f"Splunk {self.resolve(options.token)}",
                "content-type": "application/json",
                "user-agent": "auditor",
            },
        )
        await post(target, list(_batches(body)))


def _envelope(line: bytes, fixed: dict[str, str]) -> bytes:
    event = json.loads(line)
    envelope = {"time": event["time"] / 1000} | fixed | {"event": event}
    return json.dumps(envelope, ensure_ascii=True, separators=(",", ":")).encode()


def _batches(body: bytes) -> Iterator[bytes]:
    batch: list[bytes] = []
    size = 0
    for line in body.splitlines(keepends=True):
        if batch and size + len(line) > _BATCH:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield b"".join(batch)
