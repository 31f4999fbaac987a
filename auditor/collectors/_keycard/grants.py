"""Whose rights Keycard's permission maps describe: the credential's, or those of whoever asks.

The vendor documents ``permissions`` as the caller's. Where several credentials of an organization
carry the same map that is what they show, and no credential can be judged by it; where the maps
differ, or there is just one, they are taken for the credential's own, as an inference.
"""

from collections.abc import Iterator

import msgspec

from auditor import wording
from auditor.collectors.interface import Amendment, Item, Note
from auditor.model import Certainty, Credential, Organization, PermissionsSubject
from auditor.policy.privilege import classify, reasons

_INFERRED = (
    "The permissions are judged as the credentials' own, although Keycard documents them as the "
    "caller's; set `permissions_subject` of this source if you know."
)


class Grants:
    """The permission maps of one organization, compared as they come by.

    Only the first is kept, so that memory does not grow with their number. *own_client_id* is
    what the auditor itself logs in with.
    """

    def __init__(self, organization: Organization, own_client_id: str | None) -> None:
        self._organization = organization
        self._own_client_id = own_client_id
        self._own_uid: str | None = None
        self._without_map = 0
        self._maps = 0
        self._maps_differ = False
        self._example: Credential | None = None
        self._example_map = b""

    def add(self, credential: Credential) -> None:
        """Count maps and compare them with the first, for the decision at the end."""
        if credential.client_id is not None and credential.client_id == self._own_client_id:
            self._own_uid = credential.uid
        if credential.permissions is None:
            self._without_map += 1
            return
        encoded = msgspec.json.encode(credential.permissions, order="sorted")
        self._maps += 1
        if self._example is None:
            self._example, self._example_map = credential, encoded
        elif encoded != self._example_map:
            self._maps_differ = True

    def conclusions(self, said: str, *, is_whole: bool) -> Iterator[Item]:
        """Yield whose the permissions are; *said* is the configured ``permissions_subject``."""
        if self._example is not None:
            subject, certainty = self._decide(said, is_whole=is_whole)
            yield self._amend(subject, certainty)
            if subject is PermissionsSubject.CALLER:
                yield self._own_grant(self._example)
            elif (subject, certainty) == (PermissionsSubject.CREDENTIAL, Certainty.INFERRED):
                yield self._note(_INFERRED)
            if self._own_uid is not None:
                own = PermissionsSubject.CREDENTIAL
                yield self._amend(own, Certainty.STATED, only=self._own_uid)
        if self._without_map:
            yield self._note(
                "Keycard sent no permissions for "
                f"{wording.count(self._without_map, 'credential')}, asked in both documented "
                "spellings; what may be done with them is unknown."
            )

    def _decide(self, said: str, *, is_whole: bool) -> tuple[PermissionsSubject, Certainty]:
        if said == "credential":
            return PermissionsSubject.CREDENTIAL, Certainty.STATED
        if said == "caller":
            return PermissionsSubject.CALLER, Certainty.STATED
        if self._maps > 1 and not self._maps_differ:
            return PermissionsSubject.CALLER, Certainty.INFERRED
        if self._maps_differ or is_whole:
            return PermissionsSubject.CREDENTIAL, Certainty.INFERRED
        # A single map of an organization that was not read whole: the rest may be the same.
        return PermissionsSubject.UNKNOWN, Certainty.INFERRED

    def _own_grant(self, example: Credential) -> Note:
        own = classify(
            msgspec.structs.replace(example, permissions_subject=PermissionsSubject.CREDENTIAL)
        )
        named = reasons(own)
        because = f" ({', '.join(named)})" if named else ""
        advice = "" if own.privilege in ("read", "none") else " Reading is all it needs: narrow it."
        return self._note(
            f"The permissions Keycard shows on {wording.count(self._maps, 'credential')} are the "
            "auditor's own "
            "(the caller's), so no credential is judged by them. The auditor's own grant is "
            f"{own.privilege}{because}.{advice}"
        )

    def _amend(
        self, subject: PermissionsSubject, certainty: Certainty, only: str | None = None
    ) -> Amendment:
        changes = {"permissions_subject": subject, "permissions_certainty": certainty}
        return Amendment(self._organization, changes, only)

    def _note(self, text: str) -> Note:
        return Note(text, self._organization)
