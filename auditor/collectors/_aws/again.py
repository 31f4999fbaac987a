"""Reading one access key again: whether its user still has it, and when it was last used."""

from datetime import datetime
from typing import Any

import msgspec

from auditor.collectors._again import kind_of
from auditor.collectors._aws.keys import ACCESS_KEY
from auditor.collectors._aws.options import AwsOptions
from auditor.collectors._aws.session import Caller
from auditor.collectors._aws.users import UserReader
from auditor.collectors._aws.uses import key_use
from auditor.errors import AccessDenied, UnexpectedResponse
from auditor.model import Credential, LastUsedState


async def read_again(
    caller: Caller, wanted: Credential, options: AwsOptions, now: datetime
) -> Credential | None:
    """Return *wanted* as it is now; None where its user, or the key, is gone.

    ListAccessKeys of the user and GetAccessKeyLastUsed tell, to the minute and without waiting
    for a credential report. What the user may do is not read again. Raises `SourceError`.
    """
    if kind_of(wanted) != "access_key" or wanted.principal.is_root:
        what = "key of the root user" if wanted.type == ACCESS_KEY else wanted.type
        raise UnexpectedResponse(
            f"AWS offers no call that tells of one {what} alone; "
            f"`auditor audit --source {wanted.source}` reads them all again"
        )
    only_keys = options.model_copy(update={"signing_certificates": False, "ssh_public_keys": False})
    held = await UserReader(caller, only_keys, None, {}, now).read(wanted.principal.name)
    for key, use in held.keys:
        if key.id != wanted.provider_id:
            continue
        if use is None:
            raise AccessDenied(
                f"The use of {wanted.uid} could not be asked for; the auditor needs "
                "iam:GetAccessKeyLastUsed"
            )
        is_as_before = key.status is wanted.status
        facts: dict[str, Any] = {
            "last_used_at": None,
            "last_used_state": LastUsedState.UNKNOWN,
            "last_used_window_start": None,
            "raw": {},
            "status": key.status,
            "status_changed_at": wanted.status_changed_at if is_as_before else None,
            "created_at": key.created_at,
            "rotated_at": key.created_at,
            "observed_at": now,
            "data_as_of": now,
        }
        return msgspec.structs.replace(wanted, **(facts | key_use(use, key.created_at)))
    return None
