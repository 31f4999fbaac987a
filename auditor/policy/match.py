r"""Which credentials a rule of the configuration is about: anchored globs over their facts.

Overrides, exceptions and owner rules share this model. Every criterion given must hold; a list
holds where one of its patterns does. ``*`` stands for any text, ``?`` for one character and
``\`` takes the next character as it is; a pattern covers the whole value, upper and lower case
differ. ``organization`` and ``principal`` compare with the id and with the name. A credential
without an owner has the owner ``""``.
"""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from auditor.model import Credential

Test = Callable[[str], object]

_WILD = re.compile(r"[*?\\]")
_ESCAPED = re.compile(r"\\(.)|(\[)", re.DOTALL)


def compile_glob(pattern: str) -> Test:
    """Return a test, truthy where *pattern* covers the whole text; linear in the text's length."""
    if not _WILD.search(pattern):
        return pattern.__eq__
    protected = _ESCAPED.sub(_in_brackets, pattern)
    return re.compile(translate(protected)).match


def literal(text: str) -> str:
    """Return the pattern that covers exactly *text*."""
    return _WILD.sub(r"\\\g<0>", text)


def _in_brackets(found: re.Match[str]) -> str:
    character = found[1] or found[2]
    return "[" + character + "]" if character in "*?[" else character


def _quoted(value: Any) -> Any:
    """Refuse numbers: YAML would already have taken the leading zero off an account id."""
    if isinstance(value, int | float):
        raise ValueError("must be text; put it in quotes")  # noqa: TRY004  pydantic wants this one
    return value


Glob = Annotated[str, BeforeValidator(_quoted)]
Patterns = Glob | Annotated[tuple[Glob, ...], Field(min_length=1)]


class Match(BaseModel):
    """The ``match:`` block; without any criterion it covers every credential."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Patterns | None = Field(None, description="kind of system, such as aws")
    source: Patterns | None = Field(None, description="name of a configured source")
    organization: Patterns | None = Field(None, description="its id or name")
    principal: Patterns | None = Field(None, description="its id or name")
    uid: Patterns | None = Field(None, description="the credential's uid")
    type: Patterns | None = Field(None, description="such as API Key")
    name: Patterns | None = Field(None, description="the credential's name")
    owner: Patterns | None = Field(None, description='e-mail or team; "" where there is none')
    tags: dict[str, Patterns] | None = Field(None, description="tag to pattern of its value")

    @cached_property
    def _tests(self) -> tuple[Callable[[Credential], bool], ...]:
        tests = [
            _value_test(read, patterns)
            for field, read in _READERS.items()
            if (patterns := getattr(self, field)) is not None
        ]
        tests += [_tag_test(tag, patterns) for tag, patterns in (self.tags or {}).items()]
        return tuple(tests)

    def matches(self, credential: Credential) -> bool:
        """Whether every criterion holds for *credential*."""
        return all(test(credential) for test in self._tests)

    @property
    def is_empty(self) -> bool:
        """Whether it covers every credential, for want of a criterion."""
        return not self._tests


class PolicyMatch(Match):
    """A ``match:`` block that names policies too."""

    policy: Patterns | None = Field(None, description="policy id")

    @cached_property
    def _policy_test(self) -> Test:
        return _any_of("*" if self.policy is None else self.policy)

    def matches_policy(self, policy_id: str) -> bool:
        """Whether the block is about that policy; without ``policy:`` it is about all."""
        return bool(self._policy_test(policy_id))


def _any_of(patterns: Patterns) -> Test:
    tests = [compile_glob(one) for one in ([patterns] if isinstance(patterns, str) else patterns)]
    return tests[0] if len(tests) == 1 else lambda text: any(test(text) for test in tests)


def _value_test(
    read: Callable[[Credential], Iterable[str]], patterns: Patterns
) -> Callable[[Credential], bool]:
    test = _any_of(patterns)
    return lambda credential: any(test(value) for value in read(credential))


def _tag_test(tag: str, patterns: Patterns) -> Callable[[Credential], bool]:
    test = _any_of(patterns)
    return lambda credential: tag in credential.tags and bool(test(credential.tags[tag]))


_READERS: dict[str, Callable[[Credential], Iterable[str]]] = {
    "provider": lambda credential: (credential.provider,),
    "source": lambda credential: (credential.source,),
    "organization": lambda credential: (credential.organization.id, credential.organization.name),
    "principal": lambda credential: (credential.principal.id, credential.principal.name),
    "uid": lambda credential: (credential.uid,),
    "type": lambda credential: (credential.type,),
    "name": lambda credential: (credential.name,),
    "owner": lambda credential: (credential.owner or "",),
}
