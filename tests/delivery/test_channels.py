"""What every channel promises, and that the manual knows every channel and key."""

import re
from pathlib import Path

import pytest

from auditor import plugs
from auditor.delivery.interface import Channel
from auditor.schedule import ScheduleOptions

DOCS = Path(__file__).parents[2] / "docs"
CHANNELS = plugs.names("auditor.delivery")
COMMON = {"name", "channel", "when", "min_severity", "heartbeat"}


@pytest.fixture(params=CHANNELS)
def kind(request: pytest.FixtureRequest) -> type[Channel]:
    found: type[Channel] = plugs.find("auditor.delivery", request.param, Channel)
    return found


def test_every_channel_refuses_keys_it_does_not_know(kind: type[Channel]):
    assert kind.Options.model_config["extra"] == "forbid"
    assert kind.Options.model_config["hide_input_in_errors"]


def section(kind: type[Channel]) -> str:
    heading = f"## {kind.__module__.rsplit('.', 1)[-1]}\n"
    _, found, rest = (DOCS / "delivery.md").read_text().partition(heading)
    assert found, f"the manual lacks {heading}"
    return rest.partition("\n## ")[0]


def test_the_manual_names_every_key_of_every_channel(kind: type[Channel]):
    documented = set(re.findall(r"`([a-z_]+)`", section(kind)))
    fields = kind.Options.model_fields.items()
    keys = {field.alias or name for name, field in fields} - COMMON
    assert keys <= documented


def test_the_manual_names_every_key_of_a_schedule():
    documented = set(re.findall(r"`([a-z_]+)`", (DOCS / "schedules.md").read_text()))
    assert set(ScheduleOptions.model_fields) - {"name"} <= documented


def test_the_manual_describes_no_channel_that_is_not_there():
    described = re.findall(r"^## ([a-z0-9_]+)$", (DOCS / "delivery.md").read_text(), re.MULTILINE)
    assert sorted(described) == CHANNELS
