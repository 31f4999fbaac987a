"""When service-account keys last authenticated, as the Policy Analyzer tells it.

It looks back over an observation period and counts in days. A row without a time means that there
was no use within the period; a key without a row is one that the report does not cover.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from auditor.collectors._gcp.apis import Apis, Params
from auditor.collectors._notebook import Notebook, child, text
from auditor.errors import AuthenticationFailed, SourceError
from auditor.model import Credential, LastUsedState

_DAY = timedelta(days=1)


class Activity(msgspec.Struct, frozen=True):
    """One row: the last use within a period, if any."""

    used_at: datetime | None
    start: datetime | None
    end: datetime | None
    is_readable: bool = True
    """Whether a time that was given could be read."""


class Activities:
    """The rows of one project, by service account and key; deleted keys may be among them."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Activity] = {}

    async def read(
        self, apis: Apis, project: str, notebook: Notebook, only: Credential | None = None
    ) -> None:
        """Read the project's rows, or those of *only* one key.

        Where that fails the use stays unknown, which a note says.
        """
        path = activities_path(project)
        what = f"The last authentications of {project}"
        params: Params = {"pageSize": 1000}
        if only is not None:
            account = f"projects/{project}/serviceAccounts/{only.principal.name}"
            name = f"//iam.googleapis.com/{account}/keys/{only.provider_id}"
            params["filter"] = f'activities.fullResourceName="{name}"'
        try:
            async for rows in apis.pages(
                "policyanalyzer", path, "activities", what, params,
                key="fullResourceName",
            ):  # fmt: skip
                self._add(rows, notebook)
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._rows.clear()
            notebook.note(f"When service-account keys were last used is unknown: {error}")

    def _add(self, rows: Iterable[Any], notebook: Notebook) -> None:
        for row in rows:
            activity, period = child(row, "activity"), child(row, "observationPeriod")
            name = text(row, "fullResourceName") or ""
            account, _, key_id = name.partition("/serviceAccounts/")[2].partition("/keys/")
            if not key_id:
                continue
            # The unique id tells an account from one that had its e-mail before.
            unique_id = text(child(activity, "serviceAccountKey"), "serviceAccountId") or account
            used_at = notebook.instant(activity, "lastAuthenticatedTime")
            self._rows[unique_id, key_id] = Activity(
                used_at,
                notebook.instant(period, "startTime"),
                notebook.instant(period, "endTime"),
                is_readable=used_at is not None or activity.get("lastAuthenticatedTime") is None,
            )

    def applied(self, credential: Credential, account_ids: Iterable[str]) -> Credential:
        """Return *credential*, a key of the account with one of *account_ids*, with its use."""
        key_id = credential.provider_id
        rows = (self._rows.get((account, key_id)) for account in account_ids)
        row = next((one for one in rows if one is not None), None)
        if row is None or not row.is_readable:
            return credential
        facts: dict[str, Any] = {
            "last_used_precision": _DAY,
            "last_used_window_start": row.start,
            "data_as_of": min(row.end, credential.observed_at)
            if row.end
            else credential.data_as_of,
        }
        created = credential.created_at
        if row.used_at is not None:
            facts |= {"last_used_state": LastUsedState.USED, "last_used_at": row.used_at}
        elif row.start is None:
            return credential
        elif created is not None and created >= row.start:
            facts["last_used_state"] = LastUsedState.NEVER
        else:
            facts["last_used_state"] = LastUsedState.NOT_IN_WINDOW
        return msgspec.structs.replace(credential, **facts)


def activities_path(project: str) -> str:
    """Return where the last authentications of *project*, a path segment, are listed."""
    return (
        f"/v1/projects/{project}/locations/global/activityTypes/"
        "serviceAccountKeyLastAuthentication/activities:query"
    )
