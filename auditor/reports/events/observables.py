"""The observables of an event: what consumers may pivot on, derived from the event itself."""

from auditor.reports.events.parts import Json

_OBSERVABLES = (
    ("cloud.account.name", 34, "Account Object: name"),
    ("cloud.account.uid", 35, "Account Object: uid"),
    ("evidences.user.name", 4, "User Name"),
    ("evidences.user.uid", 31, "User Object: uid"),
    ("finding_info.src_url", 6, "URL String"),
    ("resources.name", 38, "Resource Details Object: name"),
    ("resources.owner.name", 4, "User Name"),
    ("resources.owner.uid", 31, "User Object: uid"),
    ("resources.uid", 10, "Resource UID"),
    ("user.name", 4, "User Name"),
    ("user.uid", 31, "User Object: uid"),
)
"""Attribute, OCSF's number and caption of what it is; a credential id itself is none of them."""
_PLACES = tuple((tuple(one[0].split(".")), *one) for one in _OBSERVABLES)


def observables(found: Json) -> list[Json]:
    """Return what the event says at the paths that OCSF 1.6.0 counts as observable."""
    entries = []
    for names, path, type_id, caption in _PLACES:
        value = _at(found, names) if names[0] in found else None
        if value is not None:
            entries.append({"name": path, "type_id": type_id, "type": caption, "value": value})
    return entries


def _at(found: Json, names: tuple[str, ...]) -> str | None:
    here: object = found
    for name in names:
        if isinstance(here, list):
            here = here[0]
        here = here.get(name) if isinstance(here, dict) else None
    return here if isinstance(here, str) else None
