"""The page about the built-in policies, written from their files."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import get_args

from auditor.model import Remediation
from auditor.policy.controls import framework, framework_keys
from auditor.policy.language.values import Constant
from auditor.policy.loading import Preset, catalogue, load, presets
from auditor.policy.policy import Policy, Remedies
from auditor.policy.privilege import providers_with_rules, rules_for
from auditor.policy.remedy import providers_with_steps, steps_of
from auditor.policy.schema import Action
from auditor.policy.settings import PolicySettings
from auditor.resources import bundled
from auditor.times import format_duration

_INTRODUCTION = """\
# Built-in policies

Every policy is one file in `policies/`. `auditor policies show ID` prints one, and
`auditor policies test` runs the examples in it. Change limits under `policies.override` in the
configuration, switch policies with `policies.enable` and `policies.disable`, choose a set of
limits with `policies.preset`.

A policy answers *violation*, *pass* or, where a fact it needs is unknown, *not evaluable*.
Limits are inclusive: exactly 45 days without use is 45 days without use. Severity rises one step
(never to critical) for credentials with administrative rights, unless the policy looks at rights
itself or says otherwise.

A policy *maps to* controls of standards. That helps to read a finding beside a standard; it is no
statement that anybody complies. Certainty is *high* where the control's own text names the
condition, *medium* where it covers it without naming such a number or object, *low* where the
policy is supporting evidence only.
"""

_PRIVILEGE = """\
## Privilege

`credential.privilege` is *admin*, *write*, *read*, *none* or *unknown*. It follows from the
permissions by rules held as data, one file per provider in `auditor/policy/privileges/`, unless
the provider states it. The strongest permission decides. What no rule knows counts as write,
false entries do not count, and permissions that are unknown or that are the auditor's own leave
the privilege unknown. A finding names the permissions behind it.
"""

_STEPS = """\
## How it is done

Data, one file per provider in `auditor/policy/remedies/`. A policy names one of these steps under
`remediation.action`; what it says itself about a provider or a type comes first. A finding shows
the commands with the names of its credential filled in; words in capitals are yours to fill in.
"""


def policies_page(builtin: Path) -> str:
    """Return the page in Markdown for the policy files in *builtin*."""
    every = tuple(policy.id for policy in catalogue(builtin))
    policies = load(PolicySettings(enable=every), builtin=builtin, directory=builtin).policies
    parts = [
        _INTRODUCTION,
        _table(policies),
        _presets_section(presets(), policies),
        _PRIVILEGE,
        _shapes(),
        *(_section(policy) for policy in policies),
        _STEPS,
        *(_steps(action) for action in get_args(Action)),
    ]
    return "\n".join(parts)


def _table(policies: Iterable[Policy]) -> str:
    return _rows(
        ("Policy", "Says", "Severity", "By default", "Parameters"),
        [
            (
                f"[`{policy.id}`](#{policy.id})",
                policy.title,
                _severities(policy),
                "on" if policy.is_default else "off",
                ", ".join(f"`{name}: {value}`" for name, value in _parameters(policy)),
            )
            for policy in policies
        ],
    )


def _presets_section(known: Mapping[str, Preset], policies: Iterable[Policy]) -> str:
    defaults = {
        (policy.id, name): value for policy in policies for name, value in _parameters(policy)
    }
    changed = sorted(
        {
            (policy, name)
            for preset in known.values()
            for policy, parameters in preset.parameters.items()
            for name in parameters
        }
    )
    rows = [
        (
            f"`{policy}`",
            f"`{name}`",
            *(_preset_value(preset, policy, name, defaults) for preset in known.values()),
        )
        for policy, name in changed
    ]
    titles = "".join(_preset_line(name, preset) for name, preset in known.items())
    return f"## Presets\n\n{titles}\n" + _rows(("Policy", "Parameter", *known), rows)


def _preset_value(
    preset: Preset, policy: str, name: str, defaults: dict[tuple[str, str], str]
) -> str:
    given = preset.parameters.get(policy, {})
    if name in given and given[name] is None:
        return "yours"
    return str(given.get(name, defaults[policy, name]))


def _preset_line(name: str, preset: Preset) -> str:
    switched = [f"switches on `{policy}`" for policy in preset.enable]
    switched += [f"switches off `{policy}`" for policy in preset.disable]
    switched += [
        f"`{policy}` needs a `{parameter}` of yours, or `policies.disable`"
        for policy, parameters in preset.parameters.items()
        for parameter, value in parameters.items()
        if value is None
    ]
    return f"- `{name}`: {'; '.join([preset.title, *switched])}.\n"


def _shapes() -> str:
    names = [*sorted(providers_with_rules()), "default"]
    return _rows(
        ("Rules for", "What the permission map holds"),
        [
            (
                "every other" if name == "default" else name,
                rules_for(name).shape.replace("<", "\\<"),
            )
            for name in names
        ],
    )


def _section(policy: Policy) -> str:
    facts = [policy.category, _severities(policy), "on" if policy.is_default else "off"]
    if policy.providers:
        facts.append("for " + ", ".join(policy.providers))
    lines = [
        f"## {policy.id}\n",
        f"**{policy.title}.** {' · '.join(facts)}\n",
        f"{policy.rationale}\n",
        f"```cel\n{policy.when}\n```\n",
    ]
    if policy.supersedes:
        taken = ", ".join(f"`{name}`" for name in policy.supersedes)
        lines.append(f"Takes the place of {taken} where both apply.\n")
    lines.append(f"What to do: {policy.remediation.summary}\n")
    if policy.action is not None:
        lines.append(f"How, for each kind of credential: [{policy.action}](#{policy.action}).\n")
    own = [line for one in sorted(policy.remedies.items()) for line in _remedies(*one)]
    if own:
        lines += [*own, ""]
    if policy.controls:
        lines.append(_controls(policy))
    return "\n".join(lines)


def _remedies(provider: str, remedies: Remedies) -> Iterator[str]:
    if remedies.every is not None:
        yield _remedy(provider, remedies.every)
    for name, one in remedies.types.items():
        yield _remedy(f"{provider}, {name}", one)
    if remedies.root is not None:
        yield _remedy(f"{provider}, root", remedies.root)


def _remedy(subject: str, remedy: Remediation) -> str:
    more = f" [Console or documentation]({remedy.url})." if remedy.url else ""
    return f"- {subject}: {remedy.summary}{more}"


def _steps(action: str) -> str:
    """Return what an action means for each kind of credential."""
    lines = [
        line
        for provider in sorted(providers_with_steps())
        for line in _remedies(provider, steps_of(provider).get(action, Remedies()))
    ]
    return "\n".join([f"### {action}\n", *lines, ""])


def _controls(policy: Policy) -> str:
    """Return the mappings, the versions of one standard in one row where they ask for the same."""
    versions: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for key, controls in policy.controls.items():
        if key not in framework_keys():
            continue
        standard = framework(key)
        for control in controls:
            asked = (standard.title, standard.controls[control.id], control.certainty)
            versions.setdefault(asked, {}).setdefault(control.id, []).append(standard.version)
    return _rows(
        ("Maps to", "Control", "What it asks for", "Certainty"),
        [
            (standard, "; ".join(_control(*one) for one in ids.items()), title, certainty)
            for (standard, title, certainty), ids in versions.items()
        ],
    )


def _control(control_id: str, versions: list[str]) -> str:
    return control_id if versions == ["current"] else f"{control_id} ({', '.join(versions)})"


def _severities(policy: Policy) -> str:
    return ", ".join(
        dict.fromkeys(
            str(one) for one in (*(tier.severity for tier in policy.tiers), policy.severity)
        )
    )


def _parameters(policy: Policy) -> Iterator[tuple[str, str]]:
    for parameter in policy.parameters.values():
        yield parameter.name, "yours" if parameter.constant is None else _value(parameter.constant)


def _value(constant: Constant) -> str:
    value = constant.value
    if isinstance(value, tuple):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return format_duration(value) if isinstance(value, timedelta) else str(value)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    table = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in table)


if __name__ == "__main__":
    sys.stdout.write(policies_page(bundled("policies")))
