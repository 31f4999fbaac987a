"""The pages about providers and about describing one are true."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from auditor.cli import cli
from auditor.cli.providers_page import page
from auditor.collectors._declarative.paging import Paging
from auditor.config import load_config

DOCS = Path(__file__).parents[3] / "docs"
TUTORIAL = (DOCS / "describe-a-provider.md").read_text(encoding="utf-8")


def test_the_page_about_providers_says_what_the_collectors_say(request):
    path = DOCS / "providers.md"
    if request.config.getoption("--update-golden"):
        path.write_text(page(), encoding="utf-8")

    assert page() == path.read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the tutorial, where it tells to save them."""
    for name, content in re.findall(r"```\w+ (\S+)\n(.*?)```", TUTORIAL, re.DOTALL):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content, encoding="utf-8")
    return tmp_path


def test_the_tutorial_shows_what_the_command_prints(folder, monkeypatch):
    monkeypatch.chdir(folder)
    shown = re.search(r"```console\n\$ auditor (.*?)\n(.*?)```", TUTORIAL, re.DOTALL)
    assert shown is not None

    done = CliRunner().invoke(cli, [*shown[1].split(), "--now", "2026-03-01"])

    assert done.exception is None, done.output
    expected = [line.split() for line in shown[2].splitlines()]
    assert expected == [line.split() for line in done.output.splitlines()]
    assert "never-read-this" not in done.output


def test_the_tutorials_source_can_be_configured(folder, monkeypatch):
    monkeypatch.setenv("ACME_TOKEN", "acme-token-of-the-auditor")

    (source,) = load_config(folder / "config.yaml").sources

    assert "acme" == source.provider
    assert "https://api.acme.example/v1" == source.options().base_url


def test_the_tutorial_names_every_way_to_go_on():
    for style in Paging.__args__:
        (word,) = style.model_fields["style"].annotation.__args__
        assert f"`{word}`" in TUTORIAL, word
