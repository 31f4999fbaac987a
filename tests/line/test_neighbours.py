"""Policies about what only other credentials, or earlier readings, tell: through real runs."""

import pytest

from auditor.findings.exceptions import PolicyExceptions
from auditor.findings.supersession import PoliciesInForce
from auditor.line.neighbours import Neighbourhood
from auditor.line.publish import open_formats, publish
from auditor.line.recall import recall
from auditor.line.whatif import what_if
from auditor.policy import ALONE, PolicySettings, catalogue, load
from auditor.resources import bundled
from auditor.store import Store
from tests.house import NOW, key

CROSS = (
    "multiple-active-credentials",
    "shared-credential",
    "permission-growth",
    "permission-outlier",
)


@pytest.fixture(autouse=True)
def enabled(house):
    house.extra = f"policies: {{enable: [{', '.join(CROSS)}]}}"


def found(report, policy):
    return {
        f["credential"]["name"]: (f["status"], f["change"])
        for f in report["findings"]
        if f["policy_id"] == policy
    }


def rendered_again(house, run_id):
    """Return the report of a stored run, rendered anew."""
    config = house.config()
    with Store.open(config.database_url) as store, recall(store, config, str(run_id)) as view:
        folder = house.root / "again"
        folder.mkdir(exist_ok=True)
        publish(view, open_formats(["json"]), folder)
    return (folder / f"report-{run_id}.json").read_bytes()


def own(number, **changes):
    """A credential whose principal has no other."""
    return key(number, principal={"id": f"p{number}", "name": f"p{number}"}, **changes)


def wide(actions):
    return {"items": {f"action-{n}": True for n in range(actions)}}


def test_two_active_credentials_of_a_principal_are_an_unfinished_rotation_after_14_days(house):
    house.export(key(1, created="2026-01-20T00:00:00Z"), key(2), own(3))

    _, report = house.audit()
    assert {} == found(report, "multiple-active-credentials")
    house.later(days=5)
    _, report = house.audit()

    assert {"key-1", "key-2"} == set(found(report, "multiple-active-credentials"))
    (finding, _) = (
        f for f in report["findings"] if f["policy_id"] == "multiple-active-credentials"
    )
    evidence = {one["fact"]: one["observed"] for one in finding["evidence"]}
    assert 2 == evidence["active_siblings"]
    assert (house.root / "reports" / "report-2.json").read_bytes() == rendered_again(house, 2)


def test_a_secret_that_two_principals_hold_is_shared(house):
    house.export(own(1, fingerprint="aa"), own(2, fingerprint="aa"), own(3, fingerprint="bb"))

    _, report = house.audit()

    assert {"key-1", "key-2"} == set(found(report, "shared-credential"))


def test_one_of_twenty_peers_stands_out_and_one_of_nineteen_does_not(house):
    crowd = [own(n, permissions=wide(3)) for n in range(1, 20)]
    house.export(*crowd, own(20, permissions=wide(30)))
    _, report = house.audit()
    assert {"key-20"} == set(found(report, "permission-outlier"))
    (finding,) = (f for f in report["findings"] if f["policy_id"] == "permission-outlier")
    assert "half of them have 3 or fewer" in finding["message"]

    house.export(*crowd[1:], own(20, permissions=wide(30)))
    _, report = house.audit()

    assert ("resolved", "resolved") == found(report, "permission-outlier")["key-20"]


def test_grown_permissions_stay_a_finding_until_they_are_taken_back(house):
    house.export(own(1, permissions=wide(2)), own(2, permissions=wide(2)))
    _, first = house.audit()
    assert {} == found(first, "permission-growth")

    house.later(days=1)
    house.export(own(1, permissions=wide(3)), own(2, permissions=wide(2)), own(3))
    _, grown = house.audit()
    house.later(days=1)
    _, still = house.audit()
    house.later(days=1)
    house.export(own(1, permissions=wide(1)), own(2, permissions=wide(2)), own(3))
    _, back = house.audit()

    assert {"key-1": ("open", "opened")} == found(grown, "permission-growth")
    assert {"key-1": ("open", "unchanged")} == found(still, "permission-growth")
    assert {"key-1": ("resolved", "resolved")} == found(back, "permission-growth")
    (finding,) = (f for f in still["findings"] if f["policy_id"] == "permission-growth")
    assert "items:action-2" in finding["message"]
    for run_id in (2, 3, 4):
        expected = (house.root / "reports" / f"report-{run_id}.json").read_bytes()
        assert expected == rendered_again(house, run_id)


def test_growth_to_admin_is_graver(house):
    house.export(own(1, permissions=wide(2)))
    house.audit()
    house.export(own(1, permissions={"*": {"*": True}}))

    _, report = house.audit()

    severities = {f["policy_id"]: f["severity"] for f in report["findings"]}
    assert "high" == severities["permission-growth"]


def test_growth_first_seen_in_part_is_told_when_it_was_seen_whole(house):
    people = [own(n, permissions=wide(2)) for n in range(1, 31)]
    house.export(*people)
    house.audit()
    house.later(days=1)
    grown = own(1, permissions=wide(3))
    house.export(grown)  # a sudden drop: not believed, so only partial
    _, partial = house.audit()
    house.later(days=1)
    house.export(grown, *people[1:])
    _, whole = house.audit()

    assert "partial" == partial["coverage"][0]["status"]
    assert {} == found(partial, "permission-growth")
    missing = {entry["policy_id"]: entry for entry in partial["not_evaluable"]}
    assert set(CROSS) - {"shared-credential"} <= set(missing)
    assert {"key-1": ("open", "opened")} == found(whole, "permission-growth")


def test_nothing_is_gathered_where_no_policy_asks(tmp_path, credential):
    policies = load(PolicySettings(), builtin=bundled("policies"), directory=tmp_path)
    neighbourhood = Neighbourhood(_NoStore(), 1, policies, now=NOW)

    neighbourhood.gather(())

    assert not neighbourhood.is_asked
    assert ALONE is neighbourhood.explore(credential(), ())


class _NoStore(Store):
    """A store that cannot be read."""

    def __init__(self):
        """Open nothing."""


def test_a_credential_in_rotation_has_time_by_configuration(house):
    house.extra += "\ngrace: {new_for: 3d, rotation_for: 14d}"
    house.export(
        key(1, created="2025-01-01T00:00:00Z"),
        key(2, created=NOW.isoformat()),
        own(3, created="2025-01-01T00:00:00Z"),
    )

    _, report = house.audit()
    house.later(days=15)
    _, after = house.audit()

    policy = "long-lived-credential"
    assert {"key-1": "suppressed", "key-3": "open"} == {
        name: status for name, (status, _change) in found(report, policy).items()
    }
    assert ("open", "reopened") == found(after, policy)["key-1"]
    note = next(f["exception"] for f in report["findings"] if f["credential"]["name"] == "key-1")
    assert "its successor was created" in note["reason"]
    assert "configuration" == note["approver"]


def test_what_if_knows_the_time_a_rotation_gives(house, tmp_path):
    house.extra += "\ngrace: {rotation_for: 14d}"
    house.export(key(1, created="2025-01-01T00:00:00Z"), key(2, created=NOW.isoformat()))
    house.audit()
    config = house.config()
    builtin = bundled("policies")
    policies = load(config.layout.policies, builtin=builtin, directory=tmp_path)
    known = catalogue(builtin, config.layout.policies, tmp_path)

    with Store.open(config.database_url) as store:
        answer = what_if(
            store,
            "latest",
            policies,
            PoliciesInForce(policies.policies, known),
            PolicyExceptions().exception_for,
            grace=config.layout.grace,
        )

    assert () == answer.differences


def test_what_if_knows_the_neighbours(house):
    house.extra = ""
    house.export(own(1, fingerprint="aa"), own(2, fingerprint="aa"))
    house.audit()
    settings = PolicySettings(enable=("shared-credential",))
    builtin = bundled("policies")
    policies = load(settings, builtin=builtin, directory=house.root)
    in_force = PoliciesInForce(policies.policies, catalogue(builtin, settings, house.root))

    with Store.open(house.config().database_url) as store:
        answer = what_if(store, "latest", policies, in_force, PolicyExceptions().exception_for)

    opened = [one.credential.name for one in answer.differences]
    assert ["key-1", "key-2"] == opened
