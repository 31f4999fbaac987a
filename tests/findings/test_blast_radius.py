"""One sentence about what a found credential can do."""

from collections.abc import Callable
from typing import Any

import pytest

from auditor.findings.blast_radius import blast_radius
from auditor.model import (
    Certainty,
    Credential,
    PermissionsSubject,
    Principal,
    PrincipalType,
    Privilege,
)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "What it can do is not known."),
        (
            {"permissions": {"a": {"b": True}}, "permissions_subject": PermissionsSubject.CALLER},
            "What it can do is not known: the permissions on record are the auditor's own.",
        ),
        (
            {"permissions": {}, "privilege": Privilege.NONE},
            "It is granted nothing in Example.",
        ),
        (
            {"permissions": {"logs": {"read": True, "write": False}}, "privilege": Privilege.READ},
            "Whoever has it can read from Example, by logs:read.",
        ),
        (
            {
                "permissions": {"logs": {f"write{n}": True for n in range(9)}},
                "privilege": Privilege.WRITE,
                "permissions_certainty": Certainty.INFERRED,
            },
            (
                "Whoever has it can change things in Example, by logs:write0, logs:write1, "
                "logs:write2 and 6 more (inferred, not stated by the provider)."
            ),
        ),
        (
            {
                "privilege": Privilege.ADMIN,
                "permissions_subject": PermissionsSubject.PRINCIPAL,
            },
            "Whoever has it can administer Example, as ci can.",
        ),
        (
            {"principal": Principal("1", "root", PrincipalType.USER, is_root=True)},
            "Whoever has it is the root of Example: no policy limits it.",
        ),
    ],
)
def test_the_reach_of_a_credential_is_said_in_one_sentence(
    credential: Callable[..., Credential], changes: dict[str, Any], sentence: str
) -> None:
    assert blast_radius(credential(**changes)) == sentence
