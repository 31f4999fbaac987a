"""Logs: one line per event on stderr, readable on a terminal, JSON elsewhere, redaction last.

Event names are constant ``noun.verb`` words; facts are keys. Every secret that the configuration
resolves is registered here, so that it is struck out even where it appears unexpectedly: in the
text of a foreign exception, URL-encoded, or as the user part of a Basic header.
"""

import logging
import os
import re
import sys
from base64 import b64encode
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote, quote_plus

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

REDACTED = "[redacted]"

_SHORTEST_SECRET = 6
"""Shorter values occur by chance in ordinary text; striking them out would only confuse."""

_TOKEN = re.compile(
    r"""(?x)
    \b(?:gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,}      # GitHub
    | glpat-[A-Za-z0-9_-]{16,} | xox[abeprs]-[A-Za-z0-9-]{10,}          # GitLab, Slack
    | sk-[A-Za-z0-9_-]{20,} | (?:sk|rk)_live_[A-Za-z0-9]{16,}           # OpenAI, Stripe
    | AIza[A-Za-z0-9_-]{35} | ya29\.[A-Za-z0-9_-]{20,}                  # Google
    | dckr_pat_[A-Za-z0-9_-]{20,} | hvs\.[A-Za-z0-9_-]{20,}             # Docker Hub, Vault
    | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*)          # JSON Web Token
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----[\s\S]*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|$)
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                                   # user:password@ in a URL
    | (?i:(?<=bearer\ )|(?<=basic\ ))[A-Za-z0-9._~+/=-]{8,}
    """
)
"""Shapes of secret material. Access-key ids (``AKIA…``) are identifiers and stay."""

_SECRET_KEY = re.compile(
    r"(?i)(?:^|[_-])(?:password|passwd|secret|token|authorization|cookie|private_key|api_key)$"
)

_registered: set[str] = set()


def register_secret(value: str) -> None:
    """Strike *value* out of everything that is logged or shown from now on, in every encoding."""
    value = value.strip()
    if len(value) < _SHORTEST_SECRET:
        return
    _registered.update(
        {value, quote(value, safe=""), quote_plus(value), b64encode(value.encode()).decode()}
    )


def register_basic(user: str, password: str) -> None:
    """Strike out *password* and the Basic header it makes with *user*."""
    register_secret(password)
    _registered.add(b64encode(f"{user}:{password}".encode()).decode())


def redact(text: str) -> str:
    """Return *text* without registered secrets and without anything shaped like one."""
    for secret in sorted(_registered, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, REDACTED)
    return _TOKEN.sub(REDACTED, text)


def configure(*, level: str = "info", json: bool | None = None) -> None:
    """Send the auditor's and its libraries' logs to stderr.

    *json* None means: JSON unless stderr is a terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(as_json=as_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These write whole URLs, queries and cookies at their chattier levels, or what we say, too.
    for name in (
        "httpx",
        "httpcore",
        "sqlalchemy",
        "apscheduler",
        "alembic",
        "botocore",
        "urllib3",
        "uvicorn",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)


def _renderers(*, as_json: bool) -> list[Processor]:
    """Exceptions become text before the redaction sees them, and never carry local variables."""
    if as_json:
        transform = ExceptionDictTransformer(show_locals=False)
        return [
            structlog.processors.ExceptionRenderer(transform),
            _redact_event,
            structlog.processors.JSONRenderer(sort_keys=True, default=str),
        ]
    return [
        structlog.processors.format_exc_info,
        _redact_event,
        ConsoleRenderer(
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
            exception_formatter=plain_traceback,
        ),
    ]


def _redact_event(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    return {key: _redact_value(key, value) for key, value in event.items()}


def _redact_value(key: str, value: Any) -> Any:
    if _SECRET_KEY.search(key) and value is not None:
        return REDACTED
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {str(k): _redact_value(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value("", item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))
