"""Which policies are active, and under which limits: files, preset and configuration."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from auditor.errors import ConfigError, PolicyError
from auditor.model import Severity
from auditor.policy.evaluate import Entry, PolicySet, Variant
from auditor.policy.language.values import Constant, convert, type_named
from auditor.policy.policy import Parameter, Policy
from auditor.policy.reading import PolicySource, find_files, read, titled
from auditor.policy.rule import Rule, make_rule
from auditor.policy.settings import Override, PolicySettings
from auditor.validation import KeyPath, did_you_mean
from auditor.yamlfile import Document
from auditor.yamlfile import load as load_yaml

_PRESETS = Path(__file__).parent / "presets.yaml"


class Preset(BaseModel):
    """A named set of limits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Policy → parameter → value; null takes the default away, so that one must be given."""
    severity: dict[str, Severity] = Field(default_factory=dict)


class _Presets(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    presets: dict[str, Preset]


def presets() -> Mapping[str, Preset]:
    """Return the presets by name."""
    return load_yaml(_PRESETS).validate(_Presets).presets


def load(
    settings: PolicySettings,
    *,
    builtin: Path,
    directory: Path,
    document: Document | None = None,
) -> PolicySet:
    """Return the active policies, compiled.

    *builtin* is the folder of policies that ship with the auditor, *directory* the one that
    relative ``directories`` start from. *document* is the configuration with its ``policies:``
    block, for the line and column of what is wrong there. Raises `PolicyError`.
    """
    return load_with_catalogue(settings, builtin=builtin, directory=directory, document=document)[0]


def load_with_catalogue(
    settings: PolicySettings,
    *,
    builtin: Path,
    directory: Path,
    document: Document | None = None,
) -> tuple[PolicySet, list[Policy]]:
    """Return what `load` and `catalogue` do, from one reading of the files."""
    sources = _sources(settings, builtin, directory)
    return _Loader(settings, sources, document).policies(), _in_order(sources)


def catalogue(
    builtin: Path, settings: PolicySettings | None = None, directory: Path | None = None
) -> list[Policy]:
    """Return every policy, active or not, by id; raises `PolicyError`."""
    return _in_order(_sources(settings or PolicySettings(), builtin, directory or Path()))


def _in_order(sources: Mapping[str, PolicySource]) -> list[Policy]:
    return [source.policy for _, source in sorted(sources.items())]


def _sources(settings: PolicySettings, builtin: Path, directory: Path) -> dict[str, PolicySource]:
    """Read every file; raises `PolicyError` with all that is wrong, file by file."""
    found: dict[str, PolicySource] = {}
    problems: list[str] = []
    folders = [(builtin, True)] + [(directory / one, False) for one in settings.directories]
    for folder, is_builtin in folders:
        for path in find_files(folder):
            try:
                source = read(path, is_builtin=is_builtin)
            except PolicyError as error:
                problems.append(str(error))
                continue
            if source.policy.id in found:
                other = found[source.policy.id].document.name
                problems.append(str(source.document.fail(("id",), _taken(source, other))))
            found[source.policy.id] = source
    problems += _unknown_inferiors(found)
    if problems:
        raise PolicyError("\n".join(problems))
    return found


def _taken(source: PolicySource, other: str) -> str:
    return f"the id {source.policy.id!r} is taken by {other}; choose another"


def _unknown_inferiors(sources: Mapping[str, PolicySource]) -> Iterable[str]:
    for source in sources.values():
        for position, inferior in enumerate(source.policy.supersedes):
            if inferior not in sources or inferior == source.policy.id:
                problem = f"cannot supersede {inferior!r}{did_you_mean(inferior, list(sources))}"
                yield str(source.document.fail(("supersedes", position), problem))


class _Loader:
    """Puts files, preset and configuration together."""

    def __init__(
        self,
        settings: PolicySettings,
        sources: Mapping[str, PolicySource],
        document: Document | None,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self._document = document
        known = presets()
        if settings.preset not in known:
            hint = did_you_mean(settings.preset, list(known))
            raise self._fail(
                ("preset",), f"unknown preset {settings.preset!r}{hint}; known: {', '.join(known)}"
            )
        self._preset = known[settings.preset]

    def policies(self) -> PolicySet:
        """Return the active policies."""
        self._check_names()
        return PolicySet([self._entry(self._sources[name]) for name in sorted(self._active())])

    def _fail(self, path: Sequence[str | int], message: str) -> ConfigError:
        where = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path)
        text = f"policies{where}: {message}"
        if self._document is None:
            return PolicyError(text)
        line, column = self._document.locate(("policies", *path))
        return PolicyError(f"{self._document.name}:{line}:{column}: {text}")

    def _check_names(self) -> None:
        settings = self._settings
        named: list[tuple[KeyPath, str]] = []
        named += [(("enable", i), name) for i, name in enumerate(settings.enable)]
        named += [(("disable", i), name) for i, name in enumerate(settings.disable)]
        named += [
            (("override", i, "policy"), one.policy) for i, one in enumerate(settings.override)
        ]
        for path, name in named:
            if name not in self._sources:
                hint = did_you_mean(name, list(self._sources))
                raise self._fail(
                    path, f"there is no policy {name!r}{hint}; `auditor policies list` shows them"
                )
        for position, name in enumerate(settings.disable):
            if name in settings.enable:
                raise self._fail(("disable", position), f"{name!r} is enabled above; choose one")

    def _active(self) -> set[str]:
        active = {name for name, source in self._sources.items() if source.policy.is_default}
        active |= {name for name in self._preset.enable if name in self._sources}
        active -= set(self._preset.disable)
        return (active | set(self._settings.enable)) - set(self._settings.disable)

    def _entry(self, source: PolicySource) -> Entry:
        overrides = self._settings.override
        own = [i for i, one in enumerate(overrides) if one.policy == source.policy.id]
        scoped = [
            Variant(match, i) for i in own if (match := overrides[i].match) and not match.is_empty
        ]
        everybody = set(own) - {variant.position for variant in scoped}

        def build(positions: tuple[int, ...]) -> Rule:
            return self._rule(source, sorted(everybody.union(positions)))

        rule = build(())
        return Entry(_described(source, rule), scoped, build)

    def _rule(self, source: PolicySource, positions: Sequence[int]) -> Rule:
        """Compile a policy under the preset and the overrides at *positions*, in that order."""
        name = source.policy.id
        constants = source.constants()
        for parameter, data in self._preset.parameters.get(name, {}).items():
            constants.pop(parameter, None)
            if data is not None:
                constants[parameter] = self._constant(source, parameter, data, ("preset",))
        severity = self._preset.severity.get(name)
        for position in positions:
            override: Override = self._settings.override[position]
            for parameter, data in override.parameters.items():
                path: KeyPath = ("override", position, "parameters", parameter)
                constants[parameter] = self._constant(source, parameter, data, path)
            severity = override.severity or severity
        missing = sorted(set(source.policy.parameters) - set(constants))
        if missing:
            raise self._fail(
                ("preset",),
                f"{name} needs a value for {missing[0]!r}, which has no default under the preset "
                f"{self._settings.preset!r}; give one under `policies.override`, "
                f"or disable the policy",
            )
        try:
            return make_rule(source, constants, severity)
        except PolicyError as error:
            path = ("override", positions[-1]) if positions else ("preset",)
            raise self._fail(path, f"with these limits, {error}") from None

    def _constant(
        self, source: PolicySource, name: str, data: Any, path: Sequence[str | int]
    ) -> Constant:
        parameter = source.policy.parameters.get(name)
        if parameter is None:
            known = sorted(source.policy.parameters)
            hint = did_you_mean(name, known) or f"; known: {', '.join(known) or 'none'}"
            raise self._fail(path, f"{source.policy.id} has no parameter {name!r}{hint}")
        try:
            return convert(data, type_named(parameter.type_name))
        except ValueError as error:
            raise self._fail(path, str(error)) from None


def _described(source: PolicySource, rule: Rule) -> Policy:
    """Return the policy with the limits and severity that hold for everybody."""
    policy = source.policy
    parameters = {
        name: Parameter(name, one.type_name, rule.parameters[name], one.description)
        for name, one in policy.parameters.items()
    }
    severity = rule.severity or policy.severity
    tiers = () if rule.severity else policy.tiers
    changes: dict[str, Any] = {
        "title": titled(source, rule.parameters),
        "severity": severity,
        "tiers": tiers,
    }
    return replace(policy, parameters=parameters, **changes)
