"""Two stored runs side by side: which credentials and findings changed between them."""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from auditor.errors import ConfigError
from auditor.findings.diff import (
    CredentialDiff,
    Delta,
    FindingDiff,
    Step,
    diff_credentials,
    diff_findings,
)
from auditor.line.recall import run_number
from auditor.model import Credential, FindingState
from auditor.store import RunRecord, Store

PREVIOUS = "previous"
_REMEMBERED = 4
"""Credentials whose findings may still be in the hands of `diff_findings`, per side."""


class ChangedFinding(Struct, frozen=True):
    """A finding that stands otherwise, and whose it is."""

    diff: FindingDiff
    credential: Credential


class Comparison:
    """What changed from one judged run to another; nothing of it is held in memory."""

    def __init__(self, store: Store, before: RunRecord, after: RunRecord) -> None:
        self._store = store
        self.before = before
        self.after = after

    @classmethod
    def open(cls, store: Store, before: str, after: str) -> "Comparison":
        """Return the comparison of two runs; *before* may be ``previous``.

        Raises `ConfigError` where a run does not exist or was not judged.
        """
        later = _judged(store, run_number(after))
        earlier = (
            _previous(store, later) if before == PREVIOUS else _judged(store, run_number(before))
        )
        return cls(store, earlier, later)

    def credentials(self) -> Iterator[CredentialDiff]:
        """Yield the credentials that changed, by uid.

        One that is not there any more because no configured source reads it has left the scope;
        nobody has seen it go.
        """
        covered = {coverage.source for coverage in self._store.coverage(self.after.id)}
        found = diff_credentials(
            self._store.credentials(self.before.id), self._store.credentials(self.after.id)
        )
        for diff in found:
            is_gone = diff.deltas[0].step is Step.REMOVED
            if is_gone and diff.credential.source not in covered:
                yield replace(diff, deltas=(Delta(Step.OUT_OF_SCOPE),))
            else:
                yield diff

    def findings(self) -> Iterator[ChangedFinding]:
        """Yield the findings that stand otherwise, by the uid of their credentials."""
        before, after = _Faces(), _Faces()
        found = diff_findings(
            before.passing(self._store.findings_at(self.before.id)),
            after.passing(self._store.findings_at(self.after.id)),
        )
        for diff in found:
            uid = diff.state.credential_uid
            yield ChangedFinding(diff, after.known.get(uid) or before.known[uid])


class _Faces:
    """Remembers the last few credentials of a stream of findings while only states go on."""

    def __init__(self) -> None:
        self.known: dict[str, Credential] = {}

    def passing(self, found: Iterable[tuple[FindingState, Credential]]) -> Iterator[FindingState]:
        for state, credential in found:
            if credential.uid not in self.known and len(self.known) >= _REMEMBERED:
                del self.known[next(iter(self.known))]
            self.known[credential.uid] = credential
            yield state


def _judged(store: Store, which: int | Literal["latest"]) -> RunRecord:
    record = store.run(which)
    if not record.is_judged:
        raise ConfigError(f"Run {record.id} was not judged; choose another.")
    return record


def _previous(store: Store, later: RunRecord) -> RunRecord:
    """Return the newest judged run before *later*."""
    until = later.id - 1
    while until > 0:
        records = store.runs(limit=20, until=until)
        if not records:
            break
        for record in records:
            if record.is_judged:
                return record
        until = records[-1].id - 1
    raise ConfigError(f"Run {later.id} is the first that was judged; there is nothing before it.")
