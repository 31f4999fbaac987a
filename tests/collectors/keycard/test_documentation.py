"""The page about Keycard names every key and every reason."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from auditor.client import ConnectionOptions
from auditor.collectors.keycard import KeycardOptions
from auditor.errors import AccessDenied, AuthenticationFailed, NotFound, Unavailable
from auditor.times import format_duration

PAGE = (Path(__file__).parents[3] / "docs" / "keycard.md").read_text(encoding="utf-8")
ROWS = {
    cells[1].strip(): cells[2].strip("` ")
    for cells in (line.split("|") for line in PAGE.splitlines())
    if len(cells) == 5 and cells[1].startswith(" `")
}
KEYS = sorted(set(KeycardOptions.model_fields) - {"name", "provider"})


def documented(key: str) -> str | None:
    return next((default for names, default in ROWS.items() if f"`{key}`" in names), None)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_documented_with_its_default(key):
    default = KeycardOptions.model_fields[key].default
    shown = documented(key)

    assert shown is not None
    if key == "backoff":
        assert shown == "PT0.5S"
    elif hasattr(default, "total_seconds"):
        assert shown == format_duration(default)
    elif default in (None, PydanticUndefined):
        assert shown == ""
    else:
        assert shown == (str(default).lower() if isinstance(default, bool) else str(default))


def test_no_key_is_documented_that_does_not_exist():
    named = {key for names in ROWS for key in re.findall(r"`(\w+)`", names)}

    assert named <= set(KEYS)
    assert set(ConnectionOptions.model_fields) <= named


@pytest.mark.parametrize(
    "reason",
    [
        *(kind.kind for kind in (AccessDenied, AuthenticationFailed, NotFound, Unavailable)),
        *("repeated_cursor", "missing_cursor", "too_many_pages", "malformed_record", "not_listed"),
        "nothing_listed",
    ],
)
def test_every_reason_is_documented(reason):
    assert f"`{reason}`" in PAGE
