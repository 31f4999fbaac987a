"""AWS: access keys of IAM users and of the root user, and by option every other kind.

Facts are those of the IAM user guide and API reference, as botocore's service models have them.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from auditor.collectors._aws import calls, setup
from auditor.collectors._aws.access import matrix
from auditor.collectors._aws.account import AccountReader, Reading, boundary_note
from auditor.collectors._aws.accounts import Accounts
from auditor.collectors._aws.again import read_again
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.wire import Wire
from auditor.collectors.interface import Access, Collector, Context, Item, Unit
from auditor.errors import SourceError
from auditor.model import Credential

__all__ = ["Aws", "AwsOptions"]


class Aws(Collector):
    """Reads one account, a list of accounts, or all of an organization."""

    Options = AwsOptions
    options: AwsOptions
    summary = "Access keys of users and root, service-specific credentials; more by option"
    units_at_once = 24  # each account has a budget of its own at AWS, and most are small
    least_privileges = calls.least_privileges()

    def __init__(self, options: AwsOptions, context: Context) -> None:
        super().__init__(options, context)
        self._wire = Wire(options, context.directory)
        self._accounts = Accounts(options, self._wire)
        self._ahead: Reading | None = None

    @classmethod
    def setup_documents(cls) -> dict[str, str]:
        """Return the least-privilege policy, and the role as StackSet and as Terraform."""
        return setup.documents()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._ahead is not None:
            await self._ahead.aclose()
        await self._wire.aclose()

    @property
    def reads_all(self) -> bool:
        """Whether the whole organization is configured."""
        return self.options.accounts == "organization"

    async def units(self) -> list[Unit]:
        """Return one unit per account.

        Where that is the auditor's own and no other, it is asked for what it holds at the same
        time as for its id: neither has to wait for the other.
        """
        if self._accounts.is_own_alone:
            self._ahead = Reading.start(self._accounts.own, self.options, self.context.now)
        return [Unit(one.id, one.organization) for one in await self._accounts.all()]

    async def collect(self, unit: Unit) -> AsyncIterator[Item]:
        """Yield the credentials of one account."""
        account = self._accounts.get(unit.key)
        is_known = account.is_active or any(True for _ in self.context.previous(account.id))
        note = account.why_not_read(is_known=is_known)
        if note is not None:
            for item in note:
                yield item
            return
        ahead, self._ahead = self._ahead, None
        reader = AccountReader(
            await self._accounts.caller(account),
            account.organization,
            self.options,
            now=self.context.now,
            previous=self.context.previous,
            analyzer=self._accounts.own,
            reading=ahead,
        )
        async with aclosing(reader.items()) as items:  # type: ignore[type-var]
            async for item in items:
                yield item
        yield boundary_note(account.organization)

    async def refresh(self, credential: Credential) -> Credential | None:
        """Read one access key of a user again; None where it is gone."""
        await self._accounts.all()
        account = self._accounts.get(credential.organization.id)
        caller = await self._accounts.caller(account)
        return await read_again(caller, credential, self.options, self.context.now)

    async def check(self) -> list[Access]:
        """Return a matrix of accounts and permissions, with what is missing."""
        rows: list[Access] = []
        for account in await self._accounts.all():
            if not account.is_active:
                continue
            try:
                caller = await self._accounts.caller(account)
            except SourceError as error:
                missing = calls.ASSUME_ROLE.permission
                rows.append(Access(account.name, missing, is_granted=False, detail=str(error)))
                continue
            rows += await matrix(caller, self.options, account.id)
        return rows
