"""The one way out over HTTP, for every collector: bounded, pinned to its origin, and discreet.

`Client` sends; `ConnectionOptions` are its keys in the configuration; `TokenAuth` and its kin log
in; `Dialect` reads a provider's rate-limit headers; `walk` follows cursors; `fan_out` reads many
things side by side in bounded memory.
"""

from auditor.client.answer import Answer
from auditor.client.auth import ClientCredentials, HeaderAuth, Token, TokenAuth, bearer
from auditor.client.fanout import fan_out
from auditor.client.http import Client
from auditor.client.origin import Origin, origin_of, segment
from auditor.client.paging import Batch, BrokenPaging, walk
from auditor.client.settings import ConnectionOptions, checked_base_url
from auditor.client.throttle import Dialect, Gate, Sign, Wait

__all__ = [
    "Answer",
    "Batch",
    "BrokenPaging",
    "Client",
    "ClientCredentials",
    "ConnectionOptions",
    "Dialect",
    "Gate",
    "HeaderAuth",
    "Origin",
    "Sign",
    "Token",
    "TokenAuth",
    "Wait",
    "bearer",
    "checked_base_url",
    "fan_out",
    "origin_of",
    "segment",
    "walk",
]
