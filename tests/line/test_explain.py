"""What reports say of findings whose policy does not judge any more."""

from msgspec.structs import replace

from auditor.line.explain import Explainer
from auditor.policy import PolicySet
from tests.reports.views import finding


def test_a_policy_that_is_gone_is_said_to_be_and_asks_nothing() -> None:
    remembered = finding(1)
    told = Explainer(PolicySet(()), ()).finding(remembered.credential, remembered.state)

    assert told.state == remembered.state
    assert (told.title, told.category) == ("dormant-credential", "retired")
    assert told.message == "The policy dormant-credential is not in force any more."
    assert told.remediation.summary == "Nothing is asked of anybody."
    assert (told.evidence, told.controls, told.rationale) == ((), {}, "")


def test_findings_of_a_policy_that_is_gone_share_their_texts() -> None:
    remembered = finding(1)
    explainer = Explainer(PolicySet(()), ())
    first, second = (
        explainer.finding(remembered.credential, replace(remembered.state, id=name))
        for name in ("a", "b")
    )
    assert first.controls is second.controls
    assert first.remediation is second.remediation
