"""The page on operations is held against reality."""

import re
from pathlib import Path

import yaml

from auditor.config import DaemonSettings, Layout, Retention
from auditor.times import format_duration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()


def test_the_keys_on_the_page_are_the_keys_and_their_defaults():
    for block, settings in (("daemon", DaemonSettings()), ("retention", Retention())):
        for name in type(settings).model_fields:
            value = format_duration(getattr(settings, name))
            assert f"| `{block}.{name}` | `{value}` |" in PAGE.replace("`60s`", "`1m`")
    example = re.search(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    assert example
    layout = Layout.model_validate({"sources": [{}]} | yaml.safe_load(example[1]))
    assert layout.daemon == DaemonSettings()
    assert layout.retention == Retention()


def test_the_files_on_the_page_exist():
    paths = re.findall(r"`(deploy/[\w./-]+)`", PAGE)
    assert len(paths) >= 6
    for path in paths:
        assert (ROOT / path).is_file(), path


def test_every_metric_is_explained(request):
    source = (ROOT / "auditor" / "health.py").read_text()
    names = set(re.findall(r'"(auditor_\w+)"', source)) - {"auditor_api_calls"}
    for name in names:
        assert f"`{name}" in PAGE, name
