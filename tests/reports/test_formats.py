"""What every report format promises, asked of all that are found in the package."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from auditor import plugs
from auditor.findings.view import ReportView
from auditor.model import Finding
from auditor.reports.interface import ReportFormat
from tests.reports.conftest import Render
from tests.reports.hostile import every_hostile_text, poisoned_view
from tests.reports.views import full_view, generated, view

FORMATS = plugs.names("auditor.reports")
every_format = pytest.mark.parametrize("name", FORMATS)


def test_the_formats_of_the_package_are_found() -> None:
    assert {"csv", "html", "json", "junit", "markdown", "ocsf"} <= set(FORMATS)


@every_format
def test_a_module_defines_one_format_with_a_file_name_and_a_media_type(name: str) -> None:
    kind = plugs.find("auditor.reports", name, ReportFormat)

    assert kind.filename.count("{run}") == 1
    assert "/" in kind.media_type
    assert kind().options == kind.Options()


@every_format
def test_the_same_view_gives_the_same_bytes(name: str, render: Render) -> None:
    assert render(name, full_view()) == render(name, full_view())


@every_format
def test_a_run_without_findings_is_a_report_too(name: str, render: Render) -> None:
    empty = view([], [], coverage=(), not_evaluable=())

    assert name == "ocsf" or render(name, empty)


@every_format
@every_hostile_text
def test_hostile_text_in_every_field_is_rendered(name: str, text: str, render: Render) -> None:
    render(name, poisoned_view(text))


@every_format
def test_findings_are_streamed_not_held(name: str) -> None:
    """A format may read the findings more than once, but never keeps more than a batch."""
    findings, credentials = generated(3000)
    made = view(findings, credentials)
    alive = _Alive(made.findings)

    plugs.find("auditor.reports", name, ReportFormat)().render(
        replace(made, findings=alive), io.BytesIO()
    )

    assert alive.served >= 500
    assert alive.most <= 600


class _Alive:
    """Serves copies of findings and watches how many of them are held at a time."""

    def __init__(self, findings: Callable[[], Iterator[Finding]]) -> None:
        self.findings = findings
        self.served = 0
        self.most = 0
        self.now = 0

    def __call__(self) -> Iterator[Finding]:
        for finding in self.findings():
            self.served += 1
            self.now += 1
            self.most = max(self.most, self.now)
            yield _copy(finding, self)


class _Witness(str):
    """A rationale that tells when nobody holds it any more."""

    __slots__ = ("watch",)
    watch: _Alive

    def __del__(self) -> None:
        self.watch.now -= 1


def _copy(finding: Finding, watch: _Alive) -> Finding:
    witness = _Witness(finding.state.id)
    witness.watch = watch
    return Finding(
        state=finding.state,
        title=finding.title,
        message=finding.message,
        category=finding.category,
        credential=finding.credential,
        risk=finding.risk,
        evidence=finding.evidence,
        rationale=finding.rationale,
        remediation=finding.remediation,
        controls={**finding.controls, witness: ()},
    )


def test_a_view_is_what_the_formats_are_given() -> None:
    assert isinstance(full_view(), ReportView)
