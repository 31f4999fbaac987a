"""Which accounts there are, and how each is entered."""

from dataclasses import dataclass

from auditor.collectors._aws import calls
from auditor.collectors._aws.answers import listed, text
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.refusals import Denied, code_of
from auditor.collectors._aws.session import Caller, OwnLogin, RoleLogin
from auditor.collectors._aws.wire import Wire
from auditor.collectors.interface import Item, Note, Page
from auditor.errors import ConfigError, SourceError, UnexpectedResponse
from auditor.model import Organization

_ACTIVE = "ACTIVE"
_MOST_PAGES = 10_000


@dataclass(frozen=True)
class Account:
    """One account of the source."""

    id: str
    name: str
    state: str = _ACTIVE

    @property
    def organization(self) -> Organization:
        """The outer boundary of its credentials."""
        return Organization(self.id, self.name)

    @property
    def is_active(self) -> bool:
        """Whether it can be read at all."""
        return self.state == _ACTIVE

    def why_not_read(self, *, is_known: bool) -> list[Item] | None:
        """Return what to say of an account that is not active; None where it is to be read.

        AWS answers nobody for a suspended account, which is no fault. But where credentials of it
        are remembered (*is_known*), they are not gone: then it is one, and raises `SourceError`.
        """
        if self.is_active:
            return None
        sentence = (
            f"the account {self.name} ({self.id}) is {self.state.lower().replace('_', ' ')} "
            "and was not read"
        )
        if is_known:
            failure = UnexpectedResponse(
                f"{sentence}; its findings are kept until AWS does not list it any more"
            )
            failure.kind = "account_not_active"
            raise failure
        return [Page(self.organization, ()), Note(sentence, self.organization)]


class Accounts:
    """The accounts of a source."""

    def __init__(self, options: AwsOptions, wire: Wire) -> None:
        self._options = options
        self._wire = wire
        self.own = Caller(wire, OwnLogin(options), "the auditor's own account")
        self._own_id = ""
        self._known: dict[str, Account] = {}

    @property
    def is_own_alone(self) -> bool:
        """Whether just the auditor's own account is read, without a role."""
        return self._options.role_name is None

    def get(self, account_id: str) -> Account:
        """Return an account that `all` has named."""
        try:
            return self._known[account_id]
        except KeyError:
            raise UnexpectedResponse(f"AWS knows no account {account_id!r}") from None

    async def all(self) -> list[Account]:
        """Return the accounts to read; raises `SourceError`."""
        identity = await self.own.query(calls.GET_CALLER_IDENTITY)
        self._own_id = text(identity, "Account")
        self._check_partition(text(identity, "Arn"))
        if self._options.accounts == "current":
            found = [Account(self._own_id, self._own_id)]
        elif self._options.accounts == "organization":
            found = await self._organization()
        else:
            found = [Account(one, one) for one in self._options.accounts]
        self._known = {account.id: account for account in found}
        return found

    def _check_partition(self, arn: str) -> None:
        partition = arn.split(":")[1] if arn.count(":") >= 5 else ""
        if not self._own_id or not partition:
            raise UnexpectedResponse("AWS did not say which account the credentials belong to")
        if partition != self._options.partition:
            raise ConfigError(
                f"the credentials belong to the partition {partition}; set `partition: {partition}`"
            )

    async def _organization(self) -> list[Account]:
        """Walk ListAccounts; a page may be empty before the last one."""
        found: dict[str, Account] = {}
        parameters: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = await self.own.target(calls.LIST_ACCOUNTS, parameters)
            for record in listed(page, "Accounts"):
                account_id = text(record, "Id")
                state = text(record, "State") or text(record, "Status") or _ACTIVE
                name = text(record, "Name") or account_id
                found[account_id] = Account(account_id, name, state)
            token = text(page, "NextToken")
            if not token:
                return list(found.values())
            if token == parameters.get("NextToken"):
                break
            parameters = {"NextToken": token}
        broken = UnexpectedResponse("organizations:ListAccounts gave the same page again")
        broken.kind = "repeated_cursor"
        raise broken

    async def caller(self, account: Account) -> Caller:
        """Return who asks in *account*; raises `SourceError` where nobody may.

        The account of the auditor's own identity, which a StackSet skips where it is the
        management account, is read without the role where it does not have it.
        """
        shown = account.id if account.name == account.id else f"{account.name} ({account.id})"
        is_own = account.id == self._own_id
        if self.is_own_alone:
            return Caller(self._wire, self.own.login, shown, self.own.gate)
        own = Caller(self._wire, self.own.login, shown)
        arn = f"arn:{self._options.partition}:iam::{account.id}:role/{self._options.role_name}"
        login = RoleLogin(self.own, arn, self._options.external_id)
        try:
            await login.keys()
        except Denied:
            if not is_own:
                raise
            return own
        except SourceError as error:
            if code_of(error) == "RegionDisabledException":
                raise UnexpectedResponse(
                    f"STS is not enabled in this region for {shown}; set `region`"
                ) from None
            raise
        return Caller(self._wire, login, shown)
