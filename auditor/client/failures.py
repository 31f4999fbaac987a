"""What a failed request means, in words: what, where, and what to do next."""

import ssl
from datetime import timedelta

from auditor.errors import (
    AccessDenied,
    AuthenticationFailed,
    NotFound,
    SourceError,
    UnexpectedResponse,
)


def refusal(status: int, where: str, hint: str) -> SourceError:
    """Return the error for a final *status*; *hint* says where to read which right is needed."""
    next_step = f"See {hint}, or ask" if hint else "Ask"
    match status:
        case 401:
            return AuthenticationFailed(
                f"{where} answered 401; the auditor's own credential is wrong, revoked or expired"
            )
        case 403:
            return AccessDenied(
                f"{where} answered 403; the auditor's own credential lacks a permission. "
                f"{next_step} the provider's administrator"
            )
        case 404 | 410:
            return NotFound(
                f"{where} answered {status}; it does not exist or is hidden from the auditor"
            )
    return UnexpectedResponse(
        f"{where} answered {status}, which is not documented; is `base_url` the address of the API?"
    )


def is_untrusted(error: BaseException | None) -> bool:
    """Whether *error* comes from a certificate that could not be verified."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def words(seconds: float | timedelta) -> str:
    """Return a span of time for a message."""
    value = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
    return f"{value:,.0f} s" if value >= 1 else f"{value:.2g} s"
