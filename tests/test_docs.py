"""The prose is held against reality."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from auditor import plugs
from auditor.cli import COMMANDS
from auditor.cli.config import config_schema
from auditor.config import Layout, load_config
from auditor.findings.diff import Step, Turn

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def block(text: str, command: str) -> str:
    """Return what the README shows under *command*."""
    found = re.search(rf"```console\n\$ {re.escape(command)}\n(.*?)```", text, re.DOTALL)
    assert found, command
    return found[1]


def test_the_readme_shows_what_make_audit_prints(tmp_path, request):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "config.example.yaml", tmp_path)
    done = subprocess.run(
        [
            sys.executable, "-c", "import sys; from auditor.cli import main; sys.exit(main())",
            "audit", "-c", "config.example.yaml",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    text = README.read_text()

    if request.config.getoption("--update-golden"):
        README.write_text(text.replace(block(text, "make audit"), done.stdout))
    assert done.stdout == block(README.read_text(), "make audit")


def test_the_readme_names_every_command_and_exit_code():
    text = README.read_text()

    for command in COMMANDS:
        assert f"`auditor {command}`" in text, command
    for code in (0, 1, 2, 3, 4, 130):
        assert f"**{code}**" in text


def test_every_channel_and_provider_is_in_the_docs():
    delivery = (ROOT / "docs" / "delivery.md").read_text()
    everything = "\n".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))

    for channel in plugs.names("auditor.delivery"):
        assert f"\n## {channel}\n" in delivery, channel
    for provider in plugs.names("auditor.collectors"):
        assert f"provider: {provider}" in everything, provider
    reports = (ROOT / "docs" / "reports.md").read_text()
    for name in plugs.names("auditor.reports"):
        assert f"`{name}`" in reports, name


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_paths_in_the_prose_exist(name):
    text = (ROOT / name).read_text()
    paths = re.findall(r"`((?:auditor|policies|templates|tests|docs|examples)/[\w./-]*)`", text)
    links = re.findall(r"\]\((?!http)([\w./-]+)\)", text)

    assert paths + links
    for path in [*paths, *links]:
        assert (ROOT / path).exists(), path


def test_make_help_lists_every_target_that_the_prose_names():
    listed = subprocess.run(
        ["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True
    ).stdout
    prose = README.read_text() + (ROOT / "CONTRIBUTING.md").read_text()

    for target in set(re.findall(r"`make ([a-z-]+)", prose)):
        assert f"  {target} " in listed, target


def test_the_page_about_history_names_every_change():
    text = (ROOT / "docs" / "history.md").read_text()

    for change in (*Step, *Turn):
        assert f"`{change.value}`" in text, change


def configurations() -> list[tuple[str, dict[str, Any]]]:
    """Every part of a configuration that the docs show, with its place."""
    found = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        text = path.read_text()
        for match in re.finditer(r"```yaml\n(.*?)```", text, re.DOTALL):
            shown = yaml.safe_load(match[1])
            of_its_own = any(isinstance(shown.get(key), list) for key in ("exceptions", "reviews"))
            if set(shown) <= set(Layout.model_fields) and not of_its_own:
                line = text[: match.start()].count("\n") + 1
                found.append((f"{path.name}:{line}", shown))
    return found


CONFIGURATIONS = configurations()


@pytest.fixture(scope="module")
def published():
    return jsonschema.Draft202012Validator(config_schema())


@pytest.mark.parametrize(
    "shown", [shown for _, shown in CONFIGURATIONS], ids=[place for place, _ in CONFIGURATIONS]
)
def test_every_configuration_in_the_docs_loads_and_fits_the_published_schema(
    shown, published, tmp_path
):
    used, sent = (
        {name for one in shown.get("schedules", ()) for name in one.get(key, ())}
        for key in ("sources", "deliveries")
    )
    files = [{"name": name, "provider": "file", "path": "x"} for name in (used or {"exports"})]
    folders = [{"name": name, "channel": "folder", "directory": "sent"} for name in sent]
    whole = {"sources": files, "deliveries": folders} | shown
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(whole, default=str))

    assert load_config(path).sources
    published.validate(json.loads(path.read_text()))


def test_the_docs_show_configurations_of_every_kind():
    shown = {key for _, one in CONFIGURATIONS for key in one}

    assert len(CONFIGURATIONS) >= 15
    assert {"sources", "deliveries", "schedules", "exceptions", "owners"} <= shown
