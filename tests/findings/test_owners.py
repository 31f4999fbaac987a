"""Whose a credential is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from auditor.errors import ConfigError
from auditor.findings.directory import Directory
from auditor.findings.owners import OwnerRule, assign_owner
from auditor.model import Credential, Principal, PrincipalType


def rule(owner: str, **match: object) -> OwnerRule:
    return OwnerRule.model_validate({"owner": owner, "match": match})


def test_the_first_rule_that_covers_a_credential_names_its_owner(
    credential: Callable[..., Credential],
) -> None:
    rules = [
        rule("aws@example.com", provider="aws"),
        rule("platform@example.com", provider="keycard"),
        rule("everybody@example.com"),
    ]

    assert assign_owner(credential(), rules).owner == "platform@example.com"
    assert assign_owner(credential(provider="github"), rules).owner == "everybody@example.com"


def test_an_owner_that_the_provider_names_stays(credential: Callable[..., Credential]) -> None:
    owned = credential(owner="jo@example.com")

    assert assign_owner(owned, [rule("platform@example.com")]) is owned


def test_without_a_rule_nobody_owns_it(credential: Callable[..., Credential]) -> None:
    orphan = credential()

    assert assign_owner(orphan, [rule("aws@example.com", provider="aws")]) is orphan


def test_a_rule_without_an_owner_is_refused() -> None:
    with pytest.raises(ValidationError):
        rule("")


def test_a_tag_can_name_the_owner(credential: Callable[..., Credential]) -> None:
    rules = [
        OwnerRule(tag="team", owner="{}@example.com"),
        OwnerRule(tag="owner"),
        OwnerRule(owner="everybody@example.com"),
    ]

    assert assign_owner(credential(tags={"team": "ops"}), rules).owner == "ops@example.com"
    assert assign_owner(credential(tags={"owner": " jo "}), rules).owner == "jo"
    assert assign_owner(credential(tags={"team": " "}), rules).owner == "everybody@example.com"


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("svc-billing-prod", "billing"),
        ("svc-billing-", "billing"),
        ("svc-billing", None),
        ("my-svc-billing-prod", None),
        ("svc--prod", None),
        ("svc-" + "a" * 1_000_000, None),
    ],
)
def test_a_naming_pattern_can_tell_the_owner(
    credential: Callable[..., Credential], name: str, owner: str | None
) -> None:
    rules = [OwnerRule(name="svc-{owner}-*")]

    assert assign_owner(credential(name=name), rules).owner == owner


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"tag": "a", "name": "{owner}"},
        {"tag": "a", "owner": "b"},
        {"name": "svc-*"},
        {"name": "{owner}-{owner}"},
    ],
)
def test_a_rule_that_cannot_tell_an_owner_is_refused(entry: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        OwnerRule.model_validate(entry)


# The people directory

PEOPLE = {
    "people.csv": "Email,Status\njo@example.com,active\nAL@example.com,Suspended\n",
    "people.json": '[{"email": "jo@example.com", "active": true},'
    ' {"email": "al@example.com", "active": false}]',
    "people.yaml": "people:\n"
    "  - email: jo@example.com\n"
    "  - {email: al@example.com, status: Left}\n",
}


@pytest.fixture(params=PEOPLE)
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> Directory:
    path = tmp_path / str(request.param)
    path.write_text(PEOPLE[request.param])
    return Directory.load(path)


def test_a_directory_knows_who_has_left(directory: Directory) -> None:
    assert directory.has_left("Jo@Example.com") is False
    assert directory.has_left("al@example.com") is True


def test_an_unlisted_address_of_the_same_domain_has_left_and_others_are_unknown(
    directory: Directory,
) -> None:
    assert directory.has_left("ex@example.com") is True
    assert directory.has_left("al@elsewhere.com") is None
    assert directory.has_left("platform-team") is None


def test_a_person_who_has_left_is_marked_and_a_service_account_is_not(
    directory: Directory, credential: Callable[..., Credential]
) -> None:
    def of(name: str, kind: PrincipalType = PrincipalType.USER, status: str | None = None):
        return credential(principal=Principal("u-1", name, kind, status=status))

    assert directory.mark(of("al@example.com")).principal.status == "departed"
    assert directory.mark(of("al@example.com", status="Deleted")).principal.status == "Deleted"
    for stays in (
        of("jo@example.com"),
        of("al@elsewhere.com"),
        of("al@example.com", PrincipalType.SERVICE_ACCOUNT),
    ):
        assert directory.mark(stays) is stays


def test_somebody_listed_twice_is_here_if_any_entry_says_so() -> None:
    directory = Directory(
        [{"email": "jo@example.com", "status": "left"}, {"email": "jo@example.com"}]
    )

    assert directory.has_left("jo@example.com") is False


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("people.csv", "mail\njo@example.com\n", "nobody in it has an `email` or an `id`"),
        ("people.json", "{", "not valid JSON"),
        ("people.json", '{"a": 1}', "must be a list of people"),
        ("people.yaml", "staff: []", "must be a list of people"),
        ("people.csv", None, "no such file"),
    ],
)
def test_a_directory_that_cannot_be_read_says_why(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigError, match=message):
        Directory.load(path)
