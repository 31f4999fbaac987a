"""The people directory: a file of who is here and who has left.

CSV with a header, a JSON list of objects, or YAML of the same shape under ``people:``. Each person
has an ``email`` or an ``id`` (or both) and may have a ``status`` or an ``active`` flag; a person
without either is here.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from auditor.errors import ConfigError
from auditor.findings.risk import GONE
from auditor.model import Credential, PrincipalType
from auditor.yamlfile import load

KEYS = ("email", "id")
DEPARTED = "departed"
PRESENT = "present"
LEFT = GONE | {"left", "offboarded", "terminated"}
"""What a directory calls somebody who is not there any more, in lower case."""
_NO = frozenset({"false", "no", "0"})


class Directory:
    """Who is here and who has left, by e-mail address or id, without regard to case."""

    def __init__(self, people: Iterable[Mapping[str, Any]]) -> None:
        self._is_here: dict[str, bool] = {}
        for person in people:
            is_here = _is_here(person)
            for key in KEYS:
                name = str(person.get(key) or "").strip().casefold()
                if name:
                    # Somebody listed twice is here if any entry says so.
                    self._is_here[name] = is_here or self._is_here.get(name, False)
        self._domains = frozenset(name.rpartition("@")[2] for name in self._is_here if "@" in name)

    def __len__(self) -> int:
        return len(self._is_here)

    @classmethod
    def load(cls, path: Path) -> "Directory":
        """Read the file; raises `ConfigError`. An empty directory is refused: all would be gone."""
        people = list(_people(path))
        found = cls(people)
        if not len(found):
            raise ConfigError(f"{path}: nobody in it has an `email` or an `id`; check the columns")
        return found

    def has_left(self, name: str) -> bool | None:
        """Whether *name* (an e-mail address or id) has left; None for whom it cannot know.

        An address in a domain of the directory that is not listed has left.
        """
        folded = name.strip().casefold()
        is_here = self._is_here.get(folded)
        if is_here is not None:
            return not is_here
        _, at, domain = folded.rpartition("@")
        return True if at and domain in self._domains else None

    def mark(self, credential: Credential) -> Credential:
        """Return *credential* with what the directory knows of its owner and its person.

        A person who has left is called ``departed``: only where the principal is a person, and the
        provider does not say so itself.
        """
        has_left = self.has_left(credential.owner) if credential.owner else None
        if has_left is not None:
            credential = replace(credential, owner_status=DEPARTED if has_left else PRESENT)
        return self._mark_principal(credential)

    def _mark_principal(self, credential: Credential) -> Credential:
        principal = credential.principal
        if principal.type is not PrincipalType.USER or (principal.status or "").lower() in GONE:
            return credential
        known = (self.has_left(name) for name in (principal.id, principal.name))
        if next((has_left for has_left in known if has_left is not None), None):
            return replace(credential, principal=replace(principal, status=DEPARTED))
        return credential


def _is_here(person: Mapping[str, Any]) -> bool:
    active = person.get("active")
    if active is not None and str(active).strip():
        return str(active).strip().lower() not in _NO
    return str(person.get("status") or "").strip().lower() not in LEFT


def _people(path: Path) -> Iterator[Mapping[str, Any]]:
    match path.suffix.lower():
        case ".yaml" | ".yml":
            document = load(path)
            data = document.at(("people",))
        case ".json":
            data = _json(path)
        case _:
            data = _csv(path)
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise ConfigError(f"{path}: must be a list of people with `email` or `id`")
    yield from data


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid JSON") from error


def _csv(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            return [{str(key).strip().lower(): value for key, value in row.items()} for row in rows]
    except OSError as error:
        raise _unreadable(path, error) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not CSV in UTF-8") from error


def _unreadable(path: Path, error: OSError) -> ConfigError:
    reason = (error.strerror or "cannot be read").lower()
    return ConfigError(f"{path}: {reason}; check the path and its permissions")
