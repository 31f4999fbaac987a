"""The errors of the auditor, told apart by what the caller can do about them.

AuditorError
├── ConfigError              the operator mends a file; exit 2, before any network
│   └── PolicyError          the same, for a policy file
├── SourceError              this source is not covered; the others go on; exit 3
│   ├── AuthenticationFailed the auditor's own credential is bad or expired
│   ├── AccessDenied         it lacks a permission, which the message names
│   ├── NotFound             what was asked for does not exist, or is hidden from the auditor
│   ├── Unavailable          retries are spent: timeout, 5xx, 429
│   └── UnexpectedResponse   the answer is not shaped as documented
├── StoreError               no run without memory; exit 4
└── DeliveryError            this channel failed; recorded, tried again, the others go on

A message says what, where and what next. It never holds a secret or a response body.
"""


class AuditorError(Exception):
    """Anything the auditor reports to its user as a sentence instead of a traceback."""


class ConfigError(AuditorError):
    """A configuration, an argument or a file named by them cannot be used as it is."""


class PolicyError(ConfigError):
    """A policy file is wrong; the message carries file, line, column and a caret."""


class SourceError(AuditorError):
    """A source, or one organization of it, was not read whole.

    *kind* is a short, stable word for the coverage record (``reason``).
    """

    kind = "error"
    status: int | None = None
    """The HTTP status behind it, where one was received."""


class AuthenticationFailed(SourceError):
    """The provider refused the auditor's own credential (HTTP 401 and its like)."""

    kind = "authentication_failed"


class AccessDenied(SourceError):
    """The auditor is known but may not read this (HTTP 403 and its like)."""

    kind = "access_denied"


class NotFound(SourceError):
    """What was asked for does not exist, or the provider hides it (HTTP 404 and 410)."""

    kind = "not_found"


class Unavailable(SourceError):
    """The provider did not answer in time, answered 5xx, or kept throttling."""

    kind = "unavailable"


class UnexpectedResponse(SourceError):
    """The provider answered, but not in the documented shape."""

    kind = "unexpected_response"


class StoreError(AuditorError):
    """The database cannot be used: corrupt, locked, full, newer than this program."""


class DeliveryError(AuditorError):
    """A channel did not accept a message.

    *retry* tells whether a later attempt can succeed, *in_doubt* that the other side may have
    accepted the message without saying so, *retry_after* for how many seconds it asks to wait.
    """

    def __init__(
        self,
        message: str,
        *,
        retry: bool = True,
        in_doubt: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.retry = retry
        self.in_doubt = in_doubt
        self.retry_after = retry_after
