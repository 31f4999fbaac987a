"""From a remembered state to the finding people read, retired policies included."""

from collections.abc import Iterable, Mapping

from auditor.findings.risk import reasons
from auditor.findings.view import Certainties
from auditor.model import Credential, Finding, FindingState, Remediation, Risk
from auditor.policy import ALONE, Explanation, Neighbours, Policy, PolicySet


class Explainer:
    """Explains states by the active policies; by the bare texts where a policy is active no more.

    *known* are all policies, active or not; a state whose policy is not even there any more is
    explained by that fact.
    """

    def __init__(self, policies: PolicySet, known: Iterable[Policy]) -> None:
        self._policies = policies
        self._active = frozenset(policy.id for policy in policies.policies)
        self._known: Mapping[str, Policy] = {policy.id: policy for policy in known} | {
            policy.id: policy for policy in policies.policies
        }
        self._bare: dict[str, Explanation] = {}
        """Of policies that are not active."""

    @property
    def policies(self) -> PolicySet:
        """The active policies."""
        return self._policies

    @property
    def certainties(self) -> Certainties:
        """How certain each policy's controls are, of active and of other policies."""
        return {
            policy.id: {
                framework: {control.id: control.certainty for control in controls}
                for framework, controls in policy.controls.items()
            }
            for policy in self._known.values()
        }

    def finding(
        self, credential: Credential, state: FindingState, neighbours: Neighbours = ALONE
    ) -> Finding:
        """Return *state* as reports show it.

        Ages are measured where the evidence ends, so a finding that could not be checked today
        does not grow older than what is known of it. The risk is the one that is remembered: a
        finding that is only held keeps its place in the order of work.
        """
        policy_id = state.policy_id
        policy = self._known.get(policy_id)
        category = policy.category if policy is not None else "retired"
        at = credential.observed_at
        if policy_id in self._active:
            explanation = self._policies.explain(policy_id, credential, at, neighbours)
        else:
            explanation = self._without(policy_id)
        return Finding(
            state=state,
            title=explanation.title,
            message=explanation.message,
            category=category,
            credential=credential,
            risk=Risk(state.risk_score, reasons(credential, state.severity, at)),
            evidence=explanation.evidence,
            rationale=explanation.rationale,
            remediation=explanation.remediation,
            controls=explanation.controls,
        )

    def _without(self, policy_id: str) -> Explanation:
        found = self._bare.get(policy_id)
        if found is None:
            found = self._bare[policy_id] = _bare(policy_id, self._known.get(policy_id))
        return found


def _bare(policy_id: str, policy: Policy | None) -> Explanation:
    message = f"The policy {policy_id} is not in force any more."
    if policy is None:
        nothing = Remediation(summary="Nothing is asked of anybody.")
        return Explanation(
            title=policy_id,
            message=message,
            evidence=(),
            rationale="",
            remediation=nothing,
            controls={},
        )
    return Explanation(
        title=policy.title,
        message=message,
        evidence=(),
        rationale=policy.rationale,
        remediation=Remediation(summary=policy.remediation.summary),
        controls={name: tuple(c.id for c in found) for name, found in policy.controls.items()},
    )
