"""Which addresses a page may link to; everything else is shown as text or not at all."""

from urllib.parse import urlsplit

_MAX = 1000


def https(url: str | None) -> str:
    """Return *url* where a click on it is safe: https, a host, nothing odd; else empty."""
    if not url or len(url) > _MAX or not url.isascii() or not url.isprintable() or " " in url:
        return ""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port or True)
    except ValueError:
        return ""
    return url if parts.scheme == "https" and has_host and "@" not in parts.netloc else ""
