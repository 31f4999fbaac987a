"""Every shipped description, from saved answers to credentials that were reviewed by eye."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from auditor import plugs
from auditor.collectors.declarative import Declarative, attempt
from auditor.config import load_config
from auditor.model import Credential, LastUsedState, to_builtins
from auditor.pipeline import Order, audit
from auditor.policy.privilege import classify
from tests.collectors.subjects import RESPONSES, SUBJECTS

NAMES = sorted(plugs.descriptions("auditor.collectors"))
EXPECTED = Path(__file__).parent / "expected"
SAID = (
    *("uid", "type", "name", "description", "client_id", "status", "created_at", "owner", "tags"),
    *("last_used_at", "last_used_state", "expires_at", "expires_state", "permissions"),
    *("privilege", "restrictions", "fingerprint"),
)


def said(credential: Credential) -> dict[str, Any]:
    facts = to_builtins(classify(credential))
    principal = {k: v for k, v in facts["principal"].items() if v is not None}
    shown = {name: facts[name] for name in SAID if facts[name] not in (None, {}, [])}
    return shown | {"organization": facts["organization"]["id"], "principal": principal}


@pytest.mark.parametrize("name", NAMES)
async def test_the_saved_answers_mean_what_they_meant(name: str, now: datetime, request):
    collector = plugs.find("auditor.collectors", name, Declarative)
    trial = await attempt(collector, RESPONSES / name, now)
    found = sorted((said(one) for one in trial.credentials), key=lambda one: str(one["uid"]))
    file = EXPECTED / f"{name}.json"
    if request.config.getoption("--update-golden"):
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    assert trial.is_whole, (trial.error, trial.gaps)
    assert all("there is none" in note for note in trial.notes)
    assert [] == trial.missing
    assert json.loads(file.read_text(encoding="utf-8")) == found


@pytest.mark.parametrize("name", NAMES)
async def test_use_is_known_only_where_the_description_says_so(name: str, now: datetime):
    collector = plugs.find("auditor.collectors", name, Declarative)
    trial = await attempt(collector, RESPONSES / name, now)

    knows = {one.last_used_state for one in trial.credentials} != {LastUsedState.UNKNOWN}
    assert collector.usage_is_recorded is knows


async def test_a_described_source_goes_down_the_whole_line(tmp_path: Path, monkeypatch):
    (subject,) = (one for one in SUBJECTS if one.name == "gitlab")
    monkeypatch.setenv("GITLAB_TOKEN", "glpat-of-the-auditor-itself")
    with subject.serve() as server:
        path = tmp_path / "config.yaml"
        path.write_text(
            "sources:\n  - {name: gl, provider: gitlab, token: '${env:GITLAB_TOKEN}', "
            f"groups: [acme], base_url: '{server.url}/api/v4', deploy_tokens_and_keys: true}}\n"
            "reports: {formats: [json]}\n"
        )
        await audit(load_config(path), Order())

    (report,) = (tmp_path / "reports").glob("report-*.json")
    document = json.loads(report.read_text())
    assert ["complete"] == [part["status"] for part in document["coverage"]]
    assert {"gitlab"} == {finding["credential"]["provider"] for finding in document["findings"]}
