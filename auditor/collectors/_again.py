"""Reading one credential again: gone only where the provider plainly says so."""

from collections.abc import Awaitable, Callable, Iterable

from auditor.collectors._notebook import Notebook
from auditor.errors import NotFound, UnexpectedResponse
from auditor.model import Credential


def kind_of(credential: Credential) -> str:
    """Return the kind that the uid of *credential* names."""
    return credential.uid.split(":")[2]


async def found_or_gone(
    read: Callable[[], Awaitable[Credential | None]], whereabouts: Callable[[], Awaitable[object]]
) -> Credential | None:
    """Return what *read* finds; None where it answers 404 and *whereabouts* does not.

    *whereabouts* asks for the list it was on: where that is hidden, too, a 404 proves nothing.
    Raises `SourceError`.
    """
    try:
        return await read()
    except NotFound:
        await whereabouts()
        return None


def same(found: Credential | None, wanted: Credential) -> Credential:
    """Return *found*; raises `UnexpectedResponse` where it is not *wanted*."""
    if found is None or found.uid != wanted.uid:
        raise UnexpectedResponse(
            f"{wanted.provider} answered for {wanted.uid} with another credential, or with one "
            "that has no usable id; run `auditor audit`"
        )
    return found


def picked(
    found: Iterable[Credential | None], wanted: Credential, notebook: Notebook
) -> Credential | None:
    """Return *wanted* from a list that was read whole; None where it is not on it.

    Raises `SourceError` where *notebook* knows of a part of the list that was not read.
    """
    for one in found:
        if one is not None and one.uid == wanted.uid:
            return one
    gap = notebook.first_gap
    if gap is not None:
        doubt = UnexpectedResponse(
            f"{wanted.uid} was not found, which proves nothing: {gap.message}"
        )
        doubt.kind = gap.reason
        raise doubt
    return None
