"""The keys of a source, made from the ``options`` of a description."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model

from auditor.client.settings import BaseUrl, ConnectionOptions
from auditor.collectors._declarative.schema import Description, OptionSpec
from auditor.collectors.interface import SourceOptions


class DescribedOptions(ConnectionOptions, SourceOptions):
    """What every source of a described provider understands."""

    base_url: BaseUrl
    """Where the API lives."""


def options_type(description: Description) -> type[DescribedOptions]:
    """Return the schema of a source of this provider."""
    fields: dict[str, Any] = {"base_url": _base_url(description)}
    for name, option in description.options.items():
        fields[name] = _field(option)
    for name in ("concurrency", "requests_per_second"):
        limit = getattr(description.rate_limit, name)
        if limit is not None:
            bounds: Any = Field(default=limit, gt=0)
            fields[name] = (int if name == "concurrency" else float | None, bounds)
    title = "".join(part.title() for part in description.id.split("_"))
    made: type[DescribedOptions] = create_model(
        f"{title}Options",
        __base__=DescribedOptions,
        __doc__=f"The keys of a {description.title} source.",
        **fields,
    )
    return made


def values(options: DescribedOptions, description: Description) -> Mapping[str, Any]:
    """Return the options that a description may name, by name."""
    return {name: getattr(options, name) for name in description.options}


def _base_url(description: Description) -> Any:
    what = "where the API lives"
    if description.base_url is None:
        return (BaseUrl, Field(description=what))
    return (BaseUrl, Field(default=description.base_url, description=what))


def _field(option: OptionSpec) -> Any:
    default: Any = ... if option.required else option.default
    kind: Any = str
    if isinstance(option.default, bool):
        kind = bool
    elif option.choices:
        kind = Literal[option.choices]
    elif option.many:
        kind = Annotated[
            tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])
        ]
        default = ... if option.required else ()
    if default is None:
        kind = kind | None
    return (kind, Field(default=default, description=option.description, repr=not option.secret))


def _listed(value: object) -> object:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) and n for n in names):
        raise ValueError("must be a text or a list of texts")
    return tuple(names)
