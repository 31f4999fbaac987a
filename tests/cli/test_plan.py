"""`auditor plan`: scripts that are read and run by people, and harmless whatever a name says."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from auditor.line.plan import Phase, phase_of
from auditor.model import Remediation
from auditor.policy import catalogue
from auditor.policy.remedy import providers_with_steps, steps_of
from auditor.resources import bundled
from tests.house import DORMANT, House, key

HOSTILE = 'x\'; touch owned; echo "$(touch owned)" `touch owned`\n touch owned #'
RECORDER = '#!/bin/sh\nprintf "%s\\n" "$0" "$@" >> "$RECORD"\necho ---- >> "$RECORD"\n'


@pytest.fixture
def plans(run, tmp_path):
    """The folder of scripts for a house full of hostile names."""
    house = House(tmp_path)
    kinds = {
        "aws": "Access Key",
        "keycard": "Service Account Key",
        "github": "Personal Access Token",
        "gcp": "Service Account Key",
        "../odd provider": "API Key",
    }
    for number, (provider, kind) in enumerate(kinds.items()):
        principal = {"id": HOSTILE, "name": HOSTILE, "type": "service_account"}
        house.export(
            key(number, provider=provider, type=kind, principal=principal, **DORMANT)
            | {"id": f"{HOSTILE}{number}", "name": HOSTILE, "owner": HOSTILE},
            source=f"s{number}",
        )
    house.sources = tuple(f"s{number}" for number in range(5))
    house.audit()
    answer = run(
        "plan", "-c", tmp_path / "config.yaml", "--policy", "dormant-credential",
        "--output", tmp_path / "plans",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    return tmp_path / "plans"


def test_there_is_a_script_per_provider_for_its_owner_only(plans):
    names = {path.name for path in plans.iterdir()}

    assert {
        "plan-aws.sh",
        "plan-keycard.sh",
        "plan-github.sh",
        "plan-gcp.sh",
        "plan--odd-provider.sh",
    } == names
    assert {0o600} == {path.stat().st_mode & 0o777 for path in plans.iterdir()}


def test_a_script_without_a_phase_only_says_how_to_use_it(plans):
    for path in plans.iterdir():
        done = subprocess.run(["sh", path], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "usage: " in done.stderr


def test_every_phase_runs_only_the_commands_of_the_policy_with_names_as_single_arguments(
    plans, tmp_path
):
    tools, record = tmp_path / "tools", tmp_path / "record"
    tools.mkdir()
    for name in ("auditor", "aws", "curl", "gh", "gcloud"):
        (tools / name).write_text(RECORDER)
        (tools / name).chmod(0o700)
    place = tmp_path / "place"
    place.mkdir()
    shell = shutil.which("sh") or "/bin/sh"
    environment = {"PATH": str(tools), "RECORD": str(record), "KEYCARD_TOKEN": "t"}

    for path in sorted(plans.iterdir()):
        for phase in Phase:
            done = subprocess.run(
                [shell, path, phase.value], cwd=place, env=environment, capture_output=True,
                text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (path, phase, done.stderr)

    assert [] == list(place.iterdir())
    calls = record.read_text().split("----\n")
    tools_called = {call.splitlines()[0].rsplit("/", 1)[-1] for call in calls if call}
    assert {"auditor", "aws", "curl", "gcloud", "gh"} <= tools_called
    assert any("update-access-key" in call and "touch owned" in call for call in calls)


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        ("aws iam get-access-key-last-used --access-key-id A", Phase.VERIFY),
        ("aws iam update-access-key --user-name delete-me --status Inactive", Phase.DISABLE),
        ("aws iam delete-access-key --user-name list", Phase.DELETE),
        ("curl -X DELETE -H 'Authorization: x' https://api/get", Phase.DELETE),
        ("gh api --method GET /orgs/x", Phase.VERIFY),
        ("gh api --method POST /orgs/x -f action=revoke", Phase.DELETE),
        ("gcloud iam service-accounts keys disable K --iam-account=x", Phase.DISABLE),
        ("az ad app permission list --id x", Phase.VERIFY),
        ("aws iam attach-user-policy --user-name x", Phase.CHANGE),
    ],
)
def test_a_command_is_due_when_its_verb_says(command, phase):
    assert phase is phase_of(command)


def known_remedies() -> Iterator[Remediation]:
    policies = list(catalogue(bundled("policies")))
    every = [remedies for policy in policies for remedies in policy.remedies.values()]
    for provider in providers_with_steps():
        every.extend(steps_of(provider).values())
    yield from (policy.remediation for policy in policies)
    for remedies in every:
        kinds = (remedies.every, *remedies.types.values(), remedies.root)
        yield from (remedy for remedy in kinds if remedy is not None)


def test_what_deletes_is_always_due_last():
    commands = [command for remedy in known_remedies() for command in remedy.commands]

    assert len(commands) > 30
    for command in commands:
        phase = phase_of(command)
        if any(word in command for word in ("delete-", "-X DELETE", " delete ", "revoke")):
            assert phase is Phase.DELETE, command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Choose what to mend"),
        (["--finding", "zz"], "no open finding"),
        (["--policy", "no-such-policy"], "No open finding"),
    ],
)
def test_a_choice_of_nothing_is_told(run, home, arguments, message):
    answer = run("plan", "-c", home / "config.yaml", "--output", home, *arguments)

    assert answer.code == 2
    assert message in answer.err


def test_a_script_that_exists_is_never_overwritten(run, home):
    arguments = ("plan", "-c", home / "config.yaml", "--owner", "", "--output", home / "plans")

    assert run(*arguments).code == 0
    again = run(*arguments)

    assert again.code == 2
    assert "exists" in again.err
