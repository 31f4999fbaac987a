"""The prose about findings tells the truth."""

import re
from pathlib import Path

import pytest

from auditor.config import Layout
from auditor.findings import risk
from auditor.findings.exception_review import Fault
from auditor.findings.exceptions import PolicyException, PolicyExceptions
from auditor.findings.owners import OwnerRule
from auditor.findings.reviews import Review, Reviews
from auditor.findings.risk import WEIGHTS
from auditor.line.plan import Phase
from auditor.line.review import ReviewStatus
from auditor.model import Change, Resolution
from auditor.policy.match import PolicyMatch
from auditor.yamlfile import parse

DOCS = Path(__file__).parents[2] / "docs"


def rows(text: str) -> dict[str, str]:
    return dict(re.findall(r"^\| ([^|]+) \| (\d+) \|$", text, re.MULTILINE))


@pytest.fixture
def page() -> str:
    return (DOCS / "risk.md").read_text()


def test_the_bands_of_the_page_are_those_of_the_table(page: str) -> None:
    bands = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)

    assert {name: (int(low), int(high)) for name, low, high in bands} == {
        severity.value: band for severity, band in WEIGHTS.bands.items()
    }


def test_the_points_of_the_page_are_those_of_the_table(page: str) -> None:
    points = {
        **{f"privilege: {name}": points for name, points in WEIGHTS.privilege.items()},
        "it acts as the root of the organization": WEIGHTS.root,
        **{f"type: {name}": points for name, points in WEIGHTS.types.items()},
        "any other type": WEIGHTS.other_type,
        "no restriction on where or for what it works": WEIGHTS.unrestricted,
        **{f"idle for {days} days": points for days, points in WEIGHTS.idle_days},
        "use unknown": WEIGHTS.use_unknown,
        **{f"secret {days} days old": points for days, points in WEIGHTS.age_days},
        "age unknown": WEIGHTS.age_unknown,
        **{
            f"expires: {'at a date' if name == 'at' else name}": points
            for name, points in WEIGHTS.expires.items()
        },
        "no owner": WEIGHTS.owner_missing,
        "its principal is gone (deleted, suspended …), or its owner has left": WEIGHTS.owner_gone,
        "tagged as production": WEIGHTS.production,
        "it can be used right now": WEIGHTS.usable,
        **{f"policy category {name}": points for name, points in WEIGHTS.categories.items()},
        "any other category": WEIGHTS.other_category,
    }

    assert rows(page) == {name: str(number) for name, number in points.items()}
    assert f"÷ {WEIGHTS.most}" in page


def test_the_page_names_the_smaller_numbers(page: str) -> None:
    assert f"adds {risk.MORE_FINDINGS}, at most {risk.MORE_FINDINGS_AT_MOST}" in page
    assert "{} to {}".format(*WEIGHTS.bare_band) in page
    assert f"less than {risk.SAID_FROM} points" in page
    for name in risk.PRODUCTION_TAGS | risk.PRODUCTION_VALUES:
        assert f"`{name}`" in page


def test_the_page_about_findings_explains_every_change_and_resolution() -> None:
    page = (DOCS / "findings.md").read_text()

    for word in (*Change, *Resolution):
        assert f"| `{word}` |" in page


def test_the_page_about_exceptions_explains_every_key_and_every_fault() -> None:
    page = (DOCS / "exceptions.md").read_text()

    for name in PolicyException.model_fields:
        assert f"| `{name}` |" in page
    for name in PolicyMatch.model_fields:
        assert f"`{name}`" in page
    for fault in Fault:
        assert f"| `{fault}` |" in page


def test_the_example_on_the_page_about_exceptions_can_be_used() -> None:
    page = (DOCS / "exceptions.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]

    (entry,) = PolicyExceptions.read(parse(example, "exceptions.yaml"), max_days=365).entries

    assert entry.ticket == "SEC-1284"


def test_the_page_about_owners_explains_every_key_and_its_example_can_be_used() -> None:
    page = (DOCS / "owners.md").read_text()

    for name in OwnerRule.model_fields:
        assert f"| `{name}` |" in page
    example = parse(page.split("```yaml\n")[1].split("```")[0], "config.yaml").data["owners"]
    assert [OwnerRule.model_validate(one).tag for one in example] == [None, "team", None, None]


def yaml_blocks(name: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)


def test_the_reviews_of_the_page_load_and_every_key_is_explained() -> None:
    (block,) = yaml_blocks("reviews.md")
    text = (DOCS / "reviews.md").read_text()

    assert len(Reviews.read(parse(block, "page")).entries) == 1
    for name in Review.model_fields:
        assert f"| `{name}` |" in text
    for status in ReviewStatus:
        assert f"`{status.value}`" in text


def test_the_phases_of_a_plan_are_those_of_the_page() -> None:
    text = (DOCS / "plans.md").read_text()

    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == [one.value for one in Phase]


def test_the_settings_on_the_pages_load() -> None:
    settings = [*yaml_blocks("exceptions.md"), *yaml_blocks("owners.md")]
    blocks = "".join(text for text in settings if text.startswith(("grace:", "directory:")))
    source = "sources: [{name: a, provider: file, path: a.json}]\n"

    layout = parse(source + blocks, "page").validate(Layout)

    assert layout.grace is not None
    assert layout.directory is not None
