"""What one user has, asked for only where the account as a whole does not tell."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from auditor.collectors._aws import calls
from auditor.collectors._aws.answers import Record, listed, text
from auditor.collectors._aws.authorization import instant
from auditor.collectors._aws.keys import Key, is_unchanged, match, settle
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.refusals import Gone
from auditor.collectors._aws.report import Report, Row
from auditor.collectors._aws.session import Caller
from auditor.collectors._aws.uses import Use, status_of, use_of_answer, use_of_slot
from auditor.errors import AccessDenied


@dataclass
class Holding:
    """What a user has."""

    user: str
    keys: list[tuple[Key, Use | None]] = field(default_factory=list)
    certificates: list[Record] = field(default_factory=list)
    ssh_keys: list[Record] = field(default_factory=list)


@dataclass
class UserReader:
    """Reads users one by one."""

    caller: Caller
    options: AwsOptions
    report: Report | None
    before: dict[str, list[Key]]
    """The keys of the last complete collection by user."""
    now: datetime

    async def read(self, name: str) -> Holding:
        """Return what a user has; raises `SourceError`."""
        row = self.report.rows.get(name) if self.report is not None else None
        found = Holding(name)
        try:
            found.keys = await self._access_keys(name, row)
            if self.options.signing_certificates and (row is None or row.certificates):
                found.certificates = await self._certificates(name)
            if self.options.ssh_public_keys:
                found.ssh_keys = await self._ssh_keys(name)
        except Gone:
            return Holding(name)  # deleted since the report was made
        return found

    async def _access_keys(self, name: str, row: Row | None) -> list[tuple[Key, Use | None]]:
        before = self.before.get(name, [])
        if row is not None and not row.slots:
            return []
        if row is not None and is_unchanged(row, before):
            keys = [key._replace(changed_at=key.signature[1]) for key in before]
        else:
            keys = await self._list_keys(name)
        if self.report is None:
            return await self._ask_all(keys, None)
        known = match(keys, row, self.report)
        found = [
            (key._replace(changed_at=slot.changed_at), use_of_slot(slot, self.report))
            for key, slot in known
            if slot is not None
        ]
        return found + await self._ask_all([key for key, slot in known if slot is None], row)

    async def _list_keys(self, name: str) -> list[Key]:
        found = []
        async for page in self.caller.pages(calls.LIST_ACCESS_KEYS, UserName=name):
            for record in listed(page, "AccessKeyMetadata"):
                key_id = text(record, "AccessKeyId")
                status = status_of(text(record, "Status"))
                if key_id:
                    found.append(Key(key_id, status, instant(record, "CreateDate")))
        return found

    async def _ask_all(self, keys: Sequence[Key], row: Row | None) -> list[tuple[Key, Use | None]]:
        """Ask for the use of keys side by side; there are one or two."""
        uses = await asyncio.gather(*(self._ask(key) for key in keys), return_exceptions=True)
        found: list[tuple[Key, Use | None]] = []
        for key, use in zip(keys, uses, strict=True):
            if isinstance(use, BaseException):
                raise use
            found.append((settle(key, use.at, row) if use is not None else key, use))
        return found

    async def _ask(self, key: Key) -> Use | None:
        """Return the use of one key; None where it cannot be told."""
        try:
            answer = await self.caller.query(calls.GET_KEY_LAST_USED, AccessKeyId=key.id)
        except (Gone, AccessDenied):
            return None
        used = answer.get("AccessKeyLastUsed")
        return use_of_answer(used if isinstance(used, dict) else {}, self.now)

    async def _certificates(self, name: str) -> list[Record]:
        found: list[Record] = []
        async for page in self.caller.pages(calls.LIST_CERTIFICATES, UserName=name):
            found += [{"UserName": name} | one for one in listed(page, "Certificates")]
        return found

    async def _ssh_keys(self, name: str) -> list[Record]:
        found: list[Record] = []
        async for page in self.caller.pages(calls.LIST_SSH_KEYS, UserName=name):
            found += [{"UserName": name} | one for one in listed(page, "SSHPublicKeys")]
        return found
