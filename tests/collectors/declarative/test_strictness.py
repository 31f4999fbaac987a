"""A mistake in a description is an error with its place, before anything is asked."""

import json

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from auditor import plugs
from auditor.cli import cli
from auditor.collectors.declarative import description_schema
from auditor.collectors.interface import Collector
from auditor.config import load_config
from auditor.errors import ConfigError
from tests.collectors.declarative.conftest import BASE, TOKENS

MISTAKES = {
    "an unknown key": ("records: tokens", "recods: tokens", "recods", "did you mean 'records'"),
    "an unknown style": ("style: cursor", "style: curser", "curser", None),
    "a path nobody can read": ("created_at: made", "created_at: a..b", "a..b", None),
    "a secret field": ("created_at: made", "owner: user.token", "secret material", None),
    "an unknown time": ("path: used,", "path: used, time: epoch,", "rfc3339", None),
    "a variable that leads nowhere": ("/tokens", '"/${tem}/tokens"', "${tem}", None),
    "a misspelled option": ("/tokens", '"/${tokn}/tokens"', "${tokn}", "did you mean 'token'"),
    "a step that does not exist": ("path: /tokens", "path: /t\n    each: teams", "'teams'", None),
    "a record that is not there": ("created_at: made", 'owner: "@user.email"', "@user", None),
    "a word that is not ours": ("type: Access Token", "type: x\n      status: fine", "fine", None),
    "an alias": ("type: Access Token", "type: *x", "aliases", None),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place(write, name):
    right, wrong, expected, hint = MISTAKES[name]
    assert right in TOKENS

    with pytest.raises(ConfigError) as caught:
        write(TOKENS.replace(right, wrong, 1))

    message = str(caught.value)
    assert expected in message
    assert hint is None or hint in message
    line = int(message.split("acme.yaml:")[1].split(":", maxsplit=1)[0])
    assert line > len(BASE.splitlines())


def test_a_secret_option_must_be_declared_as_one(write):
    with pytest.raises(ConfigError, match="'token' must say secret: true"):
        write(base=BASE.replace(", secret: true", ""))


def test_the_id_is_the_name_of_the_file(write):
    with pytest.raises(ConfigError, match="must be the name of the file"):
        write(base=BASE.replace("id: acme", "id: other"))


def test_the_shipped_descriptions_fit_the_published_schema():
    schema = description_schema()

    for path in plugs.descriptions("auditor.collectors").values():
        document = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
        jsonschema.validate(document, schema)


def test_the_schema_is_printed():
    done = CliRunner().invoke(cli, ["providers", "schema"])

    assert description_schema() == json.loads(done.output)


def test_a_described_provider_is_a_provider(tmp_path, monkeypatch):
    monkeypatch.setenv("GITLAB_TOKEN", "glpat-of-the-auditor-itself")
    path = tmp_path / "config.yaml"
    path.write_text(
        "sources: [{name: gl, provider: gitlab, token: '${env:GITLAB_TOKEN}', groups: [acme]}]\n"
    )
    (source,) = load_config(path).sources

    assert "gitlab" == source.provider
    assert ("acme",) == source.options().groups


def test_a_misspelled_key_of_a_described_source_is_an_error(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("sources: [{name: gl, provider: gitlab, token: x, group: [acme]}]\n")

    with pytest.raises(ConfigError, match="did you mean 'groups'"):
        load_config(path)


def test_a_missing_description_is_an_error(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("sources: [{name: a, provider: ./nowhere.yaml}]\n")

    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_config(path)


def test_at_least_twenty_providers_are_described():
    assert len(plugs.descriptions("auditor.collectors")) >= 20
    for name in plugs.descriptions("auditor.collectors"):
        assert plugs.find("auditor.collectors", name, Collector).verified


def test_a_provider_without_a_list_is_named_with_the_nearest_way():
    listed = CliRunner().invoke(cli, ["providers", "list"])
    shown = CliRunner().invoke(cli, ["providers", "show", "slack"])

    for name in ("slack", "stripe", "pagerduty"):
        assert name in listed.output
    assert "read the file" in str(shown.exception)
