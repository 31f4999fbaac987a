"""What AWS says no with, as one of our errors.

AWS answers throttling, expiry and want of a right alike with 400 or 403; the code tells.
"""

from typing import Any

from auditor.collectors._aws.answers import text
from auditor.collectors._aws.calls import FREE, Call
from auditor.errors import (
    AccessDenied,
    AuthenticationFailed,
    NotFound,
    SourceError,
    Unavailable,
    UnexpectedResponse,
)

THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
    }
)
"""The codes that botocore's retry rules take for throttling."""
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_BAD_LOGIN = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "AuthFailure",
        "RequestTimeTooSkewed",
        *EXPIRED,
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_GONE = frozenset({"NoSuchEntity", "NoSuchEntityException", "ResourceNotFoundException"})


class Refusal:
    """The code and the permission behind an error."""

    code = ""
    message = ""


class Denied(Refusal, AccessDenied):
    """The role or identity may not do this."""


class BadLogin(Refusal, AuthenticationFailed):
    """The credentials do not work, or do not work any more."""


class Gone(Refusal, NotFound):
    """The user, key or policy does not exist any more."""


class Busy(Refusal, Unavailable):
    """Throttled or failing, retries spent."""


class Other(Refusal, UnexpectedResponse):
    """Any other code, such as ReportNotPresent."""


def code_and_message(document: Any, header: str) -> tuple[str, str]:
    """Return what an error document says: XML as read, JSON, or the header that replaces both."""
    if not isinstance(document, dict):
        return header.partition(":")[0], ""
    error = document.get("Error")
    if isinstance(error, dict):
        return text(error, "Code"), text(error, "Message")
    code = text(document, "__type") or header or text(document, "code")
    return code.partition(":")[0].rpartition("#")[2], (
        text(document, "message") or text(document, "Message")
    )


def refusal(call: Call, code: str, message: str, status: int, where: str) -> SourceError:
    """Return the error for a final answer; AWS's own *message* is kept for the code to look at."""
    error: Denied | BadLogin | Gone | Busy | Other
    if code in _BAD_LOGIN or status == 401:
        error = BadLogin(f"{where} refuses the auditor's credentials ({code}); {_mend(code)}")
    elif code in _DENIED or (status == 403 and code not in _GONE):
        hint = "" if call in FREE else "; `auditor providers show aws` prints the policy"
        error = Denied(f"{where}: {call.permission} is not allowed ({code or status}){hint}")
    elif code in _GONE:
        error = Gone(f"{where}: it does not exist ({code})")
    elif code in THROTTLED or status >= 500 or status == 429:
        error = Busy(
            f"{where} is still busy after every retry ({code or status}); run again later, or "
            "lower `requests_per_second`"
        )
    else:
        error = Other(f"{where} answered {status} {code[:60]}, which was not expected")
    error.status, error.code, error.message = status, code, message
    return error


def _mend(code: str) -> str:
    if code in EXPIRED:
        return "the session has expired: log in again, or let the auditor assume a role"
    if code in ("SignatureDoesNotMatch", "RequestTimeTooSkewed", "InvalidSignatureException"):
        return "check the secret access key and the clock of this machine"
    return "check the access key, the profile and the partition"


def code_of(error: SourceError) -> str:
    """Return AWS's code for *error*, empty where it did not come from AWS."""
    return error.code if isinstance(error, Refusal) else ""


def is_missing_permission(error: SourceError) -> bool:
    """Whether AWS says that the caller is not allowed to make the call at all."""
    if not isinstance(error, Denied):
        return False
    return not error.message or "authorized" in error.message or "denied" in error.message.lower()
