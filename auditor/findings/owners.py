"""Whose a credential is: what the provider says, else the first owner rule that can tell."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Self

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field, model_validator

from auditor.model import Credential
from auditor.policy.match import Match

_BLANK = "{}"
_CAPTURE = "{owner}"
_READ_UP_TO = 256
"""Characters of a name that a naming pattern looks at."""


class OwnerRule(BaseModel):
    """One entry of ``owners:``; the first that covers a credential and knows an owner counts.

    ``owner`` names one; ``tag`` takes the value of a tag; ``name`` takes what stands for
    ``{owner}`` in the credential's name. With the latter two, ``owner`` is the form around it,
    such as ``{}@example.com``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: Match = Match()
    owner: str | None = Field(None, min_length=1)
    tag: str | None = Field(None, min_length=1)
    name: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        is_taken = self.tag is not None or self.name is not None
        if self.tag is not None and self.name is not None:
            raise ValueError("give `tag` or `name`, not both")
        if not is_taken and self.owner is None:
            raise ValueError("give `owner`, `tag` or `name`")
        if is_taken and self.owner is not None and _BLANK not in self.owner:
            raise ValueError("with `tag` or `name`, `owner` needs {} where their text goes")
        if self.name is not None and self.name.count(_CAPTURE) != 1:
            raise ValueError("`name` needs {owner} exactly once")
        return self

    def owner_of(self, credential: Credential) -> str | None:
        """Return the owner by this rule, None where it does not cover or cannot tell."""
        if not self.match.matches(credential):
            return None
        if self.tag is not None:
            return self._formed(credential.tags.get(self.tag, "").strip())
        if self._name is not None:
            found = self._name.fullmatch(credential.name[:_READ_UP_TO])
            return self._formed(found[1] if found else "")
        return self.owner

    def _formed(self, text: str) -> str | None:
        return (self.owner or _BLANK).replace(_BLANK, text) if text else None

    @cached_property
    def _name(self) -> re.Pattern[str] | None:
        if self.name is None:
            return None
        before, _, after = self.name.partition(_CAPTURE)
        return re.compile(f"{_glob(before)}([A-Za-z0-9]+){_glob(after)}", re.DOTALL)


def assign_owner(credential: Credential, rules: Sequence[OwnerRule]) -> Credential:
    """Return *credential* with an owner, where it had none and a rule knows one."""
    if credential.owner:
        return credential
    for rule in rules:
        owner = rule.owner_of(credential)
        if owner is not None:
            return replace(credential, owner=owner)
    return credential


def _glob(text: str) -> str:
    escaped = re.escape(text)
    return escaped.replace(r"\*", ".*").replace(r"\?", ".")
