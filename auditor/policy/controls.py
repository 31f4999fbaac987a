"""The catalogue of controls that policies map to: ids per framework and version.

``frameworks/<key>.yaml`` holds one framework. Ids are theirs, titles are our own short words, and
only controls that a policy maps to are listed. A mapping says that a policy *maps to* a control,
with a certainty; it never says that somebody complies.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from auditor.errors import ConfigError
from auditor.yamlfile import load

_FOLDER = Path(__file__).parent / "frameworks"

ControlId = Annotated[str, StringConstraints(strict=True, min_length=1)]


class Framework(BaseModel):
    """One standard in one version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    version: str
    providers: tuple[str, ...] = Field(
        (), description="whose credentials it speaks about; empty: everybody's"
    )
    controls: dict[ControlId, str]

    def covers(self, provider: str) -> bool:
        """Whether the framework speaks about credentials of *provider*."""
        return not self.providers or provider in self.providers


@lru_cache(maxsize=1)
def framework_keys() -> tuple[str, ...]:
    """Return the keys of all frameworks, such as ``cis-aws-5.0``, sorted."""
    return tuple(sorted(path.name.removesuffix(".yaml") for path in _FOLDER.glob("*.yaml")))


@lru_cache(maxsize=64)
def framework(key: str) -> Framework:
    """Return the framework *key*; raises `ConfigError` naming the known ones."""
    if key not in framework_keys():
        raise ConfigError(
            f"there is no framework {key!r} in the catalogue; known: {', '.join(framework_keys())}"
        )
    return load(_FOLDER / f"{key}.yaml").validate(Framework)


def control_title(key: str, control_id: str) -> str | None:
    """Return the short title of a control, None where the catalogue does not hold it.

    Users' own policies may map to frameworks of their own.
    """
    if key not in framework_keys():
        return None
    return framework(key).controls.get(control_id)
