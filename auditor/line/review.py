"""What owners have to confirm in a stored run, by the limits of the policy about reviews."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from auditor.config import Config
from auditor.model import Credential, Outcome
from auditor.policy import PolicySet, load
from auditor.resources import bundled
from auditor.store import Store

POLICY = "review-overdue"


class ReviewStatus(StrEnum):
    """How a credential stands."""

    OVERDUE = "overdue"
    UNKNOWN = "unknown"
    """Nobody can tell when it was confirmed, or whether it is a person's."""
    CONFIRMED = "confirmed"


class Reviewable(Struct, frozen=True, kw_only=True):
    """One credential to confirm."""

    status: ReviewStatus
    owner: str
    """Empty where nobody owns it."""
    uid: str
    organization: str
    principal: str
    name: str
    type: str
    privilege: str
    reviewed_at: datetime | None
    last_used_at: datetime | None


def review_policy(config: Config) -> PolicySet:
    """Return the configuration's policies, the one about reviews switched on."""
    rules = config.layout.policies
    settings = rules.model_copy(
        update={
            "enable": (*rules.enable, POLICY),
            "disable": tuple(name for name in rules.disable if name != POLICY),
        }
    )
    return load(settings, builtin=bundled("policies"), directory=config.directory)


def reviewables(store: Store, run_id: int, policies: PolicySet) -> Iterator[Reviewable]:
    """Yield the active credentials of a run and how each stands, by uid."""
    for credential in store.credentials(run_id):
        verdicts = policies.evaluate(credential, credential.observed_at)
        found = next((one.outcome for one in verdicts if one.policy_id == POLICY), None)
        match found:
            case Outcome.VIOLATION:
                yield _reviewable(credential, ReviewStatus.OVERDUE)
            case Outcome.NOT_EVALUABLE:
                yield _reviewable(credential, ReviewStatus.UNKNOWN)
            case None if credential.status.value == "active":
                yield _reviewable(credential, ReviewStatus.CONFIRMED)


def _reviewable(credential: Credential, status: ReviewStatus) -> Reviewable:
    return Reviewable(
        status=status,
        owner=credential.owner or "",
        uid=credential.uid,
        organization=credential.organization.name,
        principal=credential.principal.name,
        name=credential.name,
        type=credential.type,
        privilege=credential.privilege.value,
        reviewed_at=credential.reviewed_at,
        last_used_at=credential.last_used_at,
    )
