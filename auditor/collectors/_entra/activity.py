"""When credentials last signed in, as two reports tell it that exist in the beta of Graph only.

The reports have had gaps, and since when they look is not documented. So a row with a time counts
as a use, and nothing in them counts as *never*. Where a credential has no time of its own, the
last sign-in of its whole application is the latest it can have been used.
"""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from auditor.collectors._entra.graph import Graph, equals
from auditor.collectors._notebook import Notebook, child, identifier
from auditor.errors import AuthenticationFailed, SourceError
from auditor.model import Credential, LastUsedState, LastUsedSubject

_LAG = timedelta(days=1)
_BY_CLIENT = (
    "lastSignInActivity",
    "applicationAuthenticationClientSignInActivity",
    "delegatedClientSignInActivity",
)


class Activity:
    """The sign-ins of one tenant, by credential and by application."""

    def __init__(self) -> None:
        self._credentials: dict[tuple[str, str], datetime | None] = {}
        """By app id and key id."""
        self._applications: dict[str, datetime] = {}

    async def read(self, graph: Graph, notebook: Notebook, app_id: str | None = None) -> None:
        """Read both reports, or their rows about one application.

        Where that fails the use is unknown, which a note says.
        """
        asked: dict[str, str | int] = {"$top": 999}
        if app_id is not None:
            asked["$filter"] = equals("appId", app_id)
        try:
            async for rows in graph.pages(
                "/beta/reports/appCredentialSignInActivities", "The credentials' sign-ins",
                asked,
            ):  # fmt: skip
                self._add_credentials(rows, notebook)
            async for rows in graph.pages(
                "/beta/reports/servicePrincipalSignInActivities", "The applications' sign-ins",
                asked,
            ):  # fmt: skip
                self._add_applications(rows, notebook)
        except AuthenticationFailed:
            raise
        except SourceError as error:
            self._applications.clear()  # what was read of the credentials stays true
            notebook.note(
                "When credentials were last used is known in part or not at all (the reports need "
                f"AuditLog.Read.All and Entra ID P1 or P2): {error}"
            )

    def applied(self, credential: Credential) -> Credential:
        """Return *credential* with what the reports tell of its use."""
        app_id = (credential.client_id or "").lower()
        own = self._credentials.get((app_id, credential.provider_id.lower()))
        if own is not None:
            return msgspec.structs.replace(
                credential,
                last_used_state=LastUsedState.USED,
                last_used_at=own,
                last_used_precision=_LAG,
            )
        latest = self._applications.get(app_id)
        if latest is None or not self._credentials:
            return credential
        created = credential.created_at
        return msgspec.structs.replace(
            credential,
            last_used_state=LastUsedState.NOT_IN_WINDOW,
            last_used_window_start=latest if created is None else max(latest, created),
            last_used_precision=_LAG,
            last_used_subject=LastUsedSubject.PRINCIPAL,
        )

    def _add_credentials(self, rows: list[Any], notebook: Notebook) -> None:
        for row in rows:
            app_id, key_id = identifier(row, "appId"), identifier(row, "keyId")
            if app_id is None or key_id is None:
                continue
            found = notebook.instant(child(row, "signInActivity"), "lastSignInDateTime")
            place = app_id.lower(), key_id.lower()
            before = self._credentials.get(place)  # one row for each resource it signed in to
            self._credentials[place] = max(filter(None, (found, before)), default=None)

    def _add_applications(self, rows: list[Any], notebook: Notebook) -> None:
        for row in rows:
            app_id = identifier(row, "appId")
            times = [
                notebook.instant(child(row, name), "lastSignInDateTime") for name in _BY_CLIENT
            ]
            latest = max(filter(None, times), default=None)
            if app_id is not None and latest is not None:
                self._applications[app_id.lower()] = latest
