"""From a policy file to a `Policy`, its conditions compiled once to find every mistake."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from auditor.errors import PolicyError
from auditor.model import Remediation, Severity
from auditor.policy.language import Condition, ExpressionError, Parameters, compile_condition
from auditor.policy.language.types import Kind, Type
from auditor.policy.language.values import Constant, convert, parameter_value, type_named
from auditor.policy.policy import Control, Parameter, Policy, Remedies, Tier
from auditor.policy.remedy import types_of
from auditor.policy.schema import PolicyFile, ProviderRemedyFile, RemediationFile, RemedyFile
from auditor.policy.template import Template, TemplateError
from auditor.validation import KeyPath, did_you_mean
from auditor.yamlfile import Document, load

_LONG_FORM = frozenset({"type", "value", "description"})


class PolicySource(Struct, frozen=True):
    """A policy together with the file it stands in."""

    policy: Policy
    file: PolicyFile
    document: Document

    def condition(self, text: str, path: KeyPath, parameters: Parameters) -> Condition:
        """Compile the expression at *path*; raises `PolicyError` with a caret."""
        try:
            return compile_condition(text, parameters, self.policy.id)
        except ExpressionError as error:
            raise _pointed(self.document, path, text, error) from None

    def constants(self) -> dict[str, Constant]:
        """Return the parameters that have a value."""
        return {
            name: parameter.constant
            for name, parameter in self.policy.parameters.items()
            if parameter.constant is not None
        }


def find_files(folder: Path) -> list[Path]:
    """Return the policy files of *folder*, sorted; raises `PolicyError` where it is none."""
    if not folder.is_dir():
        raise PolicyError(f"{folder}: no such folder of policies; check `policies.directories`")
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


def read(path: Path, *, is_builtin: bool = False) -> PolicySource:
    """Read and check one policy file; raises `PolicyError` with file, line and column."""
    document = load(path, error=PolicyError)
    file = document.validate(PolicyFile)
    if file.id != path.stem:
        raise document.fail(("id",), f"the id must be the file's name, {path.stem!r}")
    parameters = _parameters(document, file)
    policy = Policy(
        id=file.id,
        title=file.title,
        severity=_severity(document, file),
        tiers=tuple(Tier(tier.when, tier.severity) for tier in file.tiers),
        privileged_step=file.privileged_step,
        category=file.category,
        is_default=file.enabled,
        is_builtin=is_builtin,
        version=file.version,
        providers=file.applies_to.providers,
        types=file.applies_to.types,
        without=tuple((one.providers, one.types) for one in file.applies_to.without),
        parameters=parameters,
        when=file.when.strip(),
        supersedes=file.supersedes,
        message=file.message,
        rationale=file.rationale,
        remediation=_remedy(file.remediation, file.remediation.summary),
        action=file.remediation.action,
        remedies={
            provider: _remedies(remedy, file.remediation.summary)
            for provider, remedy in file.remediation.providers.items()
        },
        controls={
            framework: tuple(Control(one.id, one.certainty) for one in controls)
            for framework, controls in file.controls.items()
        },
        file=str(path),
    )
    source = PolicySource(policy, file, document)
    if not is_builtin:  # ours are held by a test, and starting is to be quick
        _check(source)
    return PolicySource(replace(policy, title=titled(source, source.constants())), file, document)


def titled(source: PolicySource, constants: Parameters) -> str:
    """Return the title with its limits; one that the configuration must give is only named."""

    def find(_root: str, name: str) -> Any:
        return constants[name].value if name in constants else f"<{name}>"

    return Template(source.file.title, source.policy.parameters).render(find)


def _severity(document: Document, file: PolicyFile) -> Severity:
    """Return the severity where no tier holds: the one given, else the mildest tier's."""
    if file.severity is not None:
        return file.severity
    if not file.tiers:
        raise document.fail((), "'severity' is missing; give it, or `tiers`")
    return min((tier.severity for tier in file.tiers), key=lambda one: one.rank)


def _remedy(remedy: RemedyFile, summary: str) -> Remediation:
    return Remediation(remedy.summary or summary, remedy.commands, remedy.url)


def _remedies(remedies: ProviderRemedyFile, summary: str) -> Remedies:
    is_said = remedies.summary or remedies.commands or remedies.url
    return Remedies(
        _remedy(remedies, summary) if is_said else None,
        {name: _remedy(one, summary) for name, one in remedies.types.items()},
        None if remedies.root is None else _remedy(remedies.root, summary),
    )


def _check_types(source: PolicySource) -> None:
    """Refuse a type that is nearly one of the provider's: its remedy would never be shown."""
    for provider, remedies in source.policy.remedies.items():
        known = types_of(provider)
        for name in remedies.types:
            hint = "" if name in known else did_you_mean(name, known)
            if hint:
                path = ("remediation", "providers", provider, "types", name)
                message = f"{provider} has no credentials of type {name!r}{hint}"
                raise source.document.fail(path, message, key=True)


def _parameters(document: Document, file: PolicyFile) -> dict[str, Parameter]:
    found = {}
    for name, data in file.parameters.items():
        path: KeyPath = ("parameters", name)
        try:
            found[name] = _parameter(name, data)
        except ValueError as error:
            raise document.fail(path, f"parameters.{name}: {error}") from None
    return found


def _parameter(name: str, data: Any) -> Parameter:
    """Read ``45d`` or ``{type: duration, value: 45d, description: …}``; value may be missing."""
    if not isinstance(data, dict):
        found = parameter_value(data)
        return Parameter(name, type_name(found.type), found)
    if unknown := sorted(set(data) - _LONG_FORM):
        raise ValueError(f"unknown key {unknown[0]!r}; known: {', '.join(sorted(_LONG_FORM))}")
    if not isinstance(data.get("type"), str):
        raise ValueError("'type' is missing; write {type: duration, value: 45d}")  # noqa: TRY004
    kind = type_named(data["type"])
    value = data.get("value")
    constant = None if value is None else convert(value, kind)
    return Parameter(name, data["type"], constant, str(data.get("description") or ""))


def type_name(kind: Type) -> str:
    """Return how a policy file writes *kind*."""
    if kind.item is not None:
        return f"list<{type_name(kind.item)}>"
    return kind.kind.name.lower()


def _check(source: PolicySource) -> None:
    """Compile everything with the file's own parameters, or stand-ins for those without one."""
    policy, document = source.policy, source.document
    parameters = {
        name: parameter.constant or _stand_in(type_named(parameter.type_name))
        for name, parameter in policy.parameters.items()
    }
    source.condition(source.file.when, ("when",), parameters)
    for position, tier in enumerate(policy.tiers):
        source.condition(tier.when, ("tiers", position, "when"), parameters)
    _check_types(source)
    for path, text, is_command in _templates(source.file):
        facts = {"facts": frozenset[str]()} if path == ("title",) else {}
        try:
            template = Template(text, policy.parameters, **facts)
            if is_command:
                template.check_command()
        except TemplateError as error:
            line, column = document.locate_in(path, error.start)
            raise PolicyError(f"{document.name}:{line}:{column}: {error}") from None


def _stand_in(kind: Type) -> Constant:
    values: Mapping[Kind, Callable[[], Any]] = {
        Kind.BOOL: lambda: False,
        Kind.INT: lambda: 0,
        Kind.FLOAT: lambda: 0.0,
        Kind.STRING: str,
        Kind.DURATION: timedelta,
        Kind.TIMESTAMP: lambda: datetime(2026, 1, 1, tzinfo=UTC),
        Kind.LIST: tuple,
    }
    return Constant(kind, values[kind.kind]())


def _templates(file: PolicyFile) -> Iterator[tuple[KeyPath, str, bool]]:
    """Yield place and text of each template, and whether it is a command."""
    yield ("title",), file.title, False
    yield ("message",), file.message, False
    for path, remedy in _remedy_files(file.remediation):
        if remedy.summary is not None:
            yield (*path, "summary"), remedy.summary, False
        for position, command in enumerate(remedy.commands):
            yield (*path, "commands", position), command, True


def _remedy_files(remediation: RemediationFile) -> Iterator[tuple[KeyPath, RemedyFile]]:
    yield ("remediation",), remediation
    for provider, remedies in remediation.providers.items():
        path = ("remediation", "providers", provider)
        yield path, remedies
        yield from (((*path, "types", name), one) for name, one in remedies.types.items())
        if remedies.root is not None:
            yield (*path, "root"), remedies.root


def _pointed(document: Document, path: KeyPath, text: str, error: ExpressionError) -> PolicyError:
    """Return the error with the line of the file and a caret below the mistake."""
    line, column = document.locate_in(path, error.start)
    last_line, last_column = document.locate_in(path, min(error.end, len(text)) - 1)
    source = document.line(line)
    end = last_column + 1 if last_line == line else len(source.rstrip()) + 1
    marks = "^" + "~" * max(end - column - 1, 0)
    indent = "".join("\t" if char == "\t" else " " for char in source[: column - 1])
    return PolicyError(
        f"{document.name}:{line}:{column}: {error.message}\n    {source}\n    {indent}{marks}"
    )
