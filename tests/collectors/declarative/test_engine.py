"""What a description may say, and what becomes of records that do not keep to it."""

from typing import Any

import pytest

from auditor.model import ExpiresState, LastUsedState, Status

LIST = "steps:\n  - id: tokens\n    path: /tokens\n"
MINIMAL = """\
    credentials:
      kind: token
      id: id
      type: Access Token
      name: id
      expires_at: {state: unknown}
"""


def record(**fields: Any) -> dict[str, Any]:
    return {"id": "t-1", "label": "ci", "made": "2025-01-01T00:00:00Z", **fields}


def page(*records: Any, after: str | None = None) -> dict[str, Any]:
    return {"tokens": list(records), "next": after}


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"used": "2026-02-01T00:00:00Z"}, LastUsedState.USED),
        ({"used": None}, LastUsedState.NEVER),
        ({}, LastUsedState.UNKNOWN),
        ({"used": "yesterday"}, LastUsedState.UNKNOWN),
        ({"used": ""}, LastUsedState.UNKNOWN),
        ({"used": 0}, LastUsedState.UNKNOWN),
        ({"used": False}, LastUsedState.UNKNOWN),
        ({"used": "0001-01-01T00:00:00Z"}, LastUsedState.UNKNOWN),
        ({"used": "2027-01-01T00:00:00Z"}, LastUsedState.UNKNOWN),
    ],
)
async def test_missing_is_not_null_and_garbage_is_neither(tried, fields, state):
    trial = await tried({"tokens.json": page(record(**fields))})

    assert [state] == [one.last_used_state for one in trial.credentials]
    assert trial.is_whole


async def test_a_declared_sentinel_stands_for_null_and_no_other_value_does(tried):
    steps = (
        LIST
        + MINIMAL
        + "      last_used_at: {path: used, time: epoch_s, none: [0], when_null: never}\n"
    )
    answers = {"tokens.json": [{"id": "a", "used": 0}, {"id": "b", "used": False}]}

    trial = await tried(answers, steps)

    assert [LastUsedState.NEVER, LastUsedState.UNKNOWN] == [
        one.last_used_state for one in trial.credentials
    ]


async def test_an_expiry_that_cannot_be_read_is_unknown_and_noted(tried):
    trial = await tried({"tokens.json": page(record(ends="soon"))})

    assert ExpiresState.UNKNOWN is trial.credentials[0].expires_state
    assert any("ends" in note for note in trial.notes)


@pytest.mark.parametrize("wrong", [None, {"no": 1}, ["x"], True, "", "x" * 300, 1.5])
async def test_a_record_without_a_usable_id_is_left_out_and_said_so(tried, wrong):
    trial = await tried({"tokens.json": page({"id": wrong}, record())})

    assert ["t-1"] == [one.provider_id for one in trial.credentials]
    assert ["malformed_record"] == [gap.reason for gap in trial.gaps]


async def test_only_what_is_named_enters_the_raw_record(tried):
    trial = await tried({"tokens.json": page(record(secret="s3cr3t", nested={"label": "x"}))})

    assert {"id", "label", "made"} == set(trial.credentials[0].raw)


@pytest.mark.parametrize("missing", [[], {"tokens": []}, page(after="c2")])
async def test_more_without_a_place_or_a_list_is_never_whole(tried, missing):
    trial = await tried({"tokens.json": missing})

    assert not trial.is_whole or missing == {"tokens": []}


async def test_fewer_records_than_announced_make_it_partial(tried):
    steps = LIST + "    records: tokens\n    total: total\n" + MINIMAL
    trial = await tried({"tokens.json": page(record()) | {"total": 2}}, steps)

    assert ["cut_short"] == [gap.reason for gap in trial.gaps]


CHILDREN = (
    "steps:\n"
    "  - {id: teams, path: /teams}\n"
    "  - id: tokens\n    each: teams\n"
    '    path: "/teams/${teams.id}/tokens"\n' + MINIMAL + '      tags: {team: "@teams.name"}\n'
)


async def test_every_parent_is_asked_and_passes_on_its_fields(tried):
    trial = await tried(
        {
            "teams.json": [{"id": 1, "name": "Web"}, {"id": "a/b", "name": "Odd"}],
            "teams/1/tokens.json": [{"id": "t-1"}],
            "teams/a%2Fb/tokens.json": [{"id": "t-2"}],
        },
        CHILDREN,
    )

    assert {"t-1": "Web", "t-2": "Odd"} == {
        one.provider_id: one.tags["team"] for one in trial.credentials
    }


@pytest.mark.parametrize("wrong", ["..", ".", "", None, {"x": 1}, True])
async def test_a_parent_whose_id_would_change_the_path_is_not_followed(tried, wrong):
    answers = {"teams.json": [{"id": wrong}, {"id": 1}], "teams/1/tokens.json": [{"id": "t-1"}]}
    trial = await tried(answers, CHILDREN)

    assert ["t-1"] == [one.provider_id for one in trial.credentials]
    assert not trial.is_whole
    assert [] == trial.missing


async def test_a_refused_child_is_a_gap_and_a_vanished_one_is_not(tried):
    refused = "HTTP/1.1 403 Forbidden\n\n{}"
    answers = {
        "teams.json": [{"id": 1}, {"id": 2}, {"id": 3}],
        "teams/1/tokens.json": [{"id": "t"}],
    }
    trial = await tried(answers | {"teams/2/tokens.http": refused}, CHILDREN)

    assert ["access_denied"] == [gap.reason for gap in trial.gaps]
    assert 1 == len(trial.credentials)


async def test_where_keeps_some_parents(tried):
    steps = CHILDREN.replace("path: /teams}", "path: /teams, where: {archived: false}}")
    answers = {
        "teams.json": [{"id": 1, "archived": False}, {"id": 2, "archived": True}],
        "teams/1/tokens.json": [{"id": "t-1"}],
    }
    trial = await tried(answers, steps)

    assert trial.is_whole
    assert [] == trial.missing


async def test_units_come_from_an_option(tried):
    base_units = "units: {option: teams}\n"
    steps = base_units + LIST.replace("/tokens", '"/teams/${organization}/tokens"') + MINIMAL
    answers = {
        "options.yaml": "teams: [web, api]\n",
        "teams/web/tokens.json": [{"id": "1"}],
        "teams/api/tokens.json": [{"id": "2"}],
    }
    trial = await tried(answers, steps)

    assert {"web", "api"} == {one.organization.id for one in trial.credentials}


async def test_a_status_nobody_has_described_is_unknown(tried):
    steps = LIST + MINIMAL + "      status: {path: state, values: {on: active}}\n"
    answers = {
        "tokens.json": [{"id": "1", "state": "on"}, {"id": "2", "state": "new"}, {"id": "3"}]
    }
    trial = await tried(answers, steps)

    assert [Status.ACTIVE, Status.UNKNOWN, Status.UNKNOWN] == [
        one.status for one in trial.credentials
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "b"], {"scope": {"a": True, "b": True}}),
        ("a", {"scope": {"a": True}}),
        ({"a": True, "b": False}, {"scope": {"a": True}}),
        ([], {}),
        (None, None),
        ([{"x": 1}], None),
        (True, None),
    ],
)
async def test_permissions_are_names_or_unknown(tried, value, expected):
    steps = LIST + MINIMAL + "      permissions: {scope: scopes}\n"
    trial = await tried({"tokens.json": [{"id": "1", "scopes": value}]}, steps)

    assert expected == trial.credentials[0].permissions


async def test_permissions_that_are_not_sent_are_unknown(tried):
    steps = LIST + MINIMAL + "      permissions: {scope: scopes}\n"
    trial = await tried({"tokens.json": [{"id": "1"}]}, steps)

    assert trial.credentials[0].permissions is None


async def test_a_join_that_cannot_be_read_leaves_names_unknown(tried):
    steps = (
        "steps:\n  - {id: users, path: /users}\n  - id: tokens\n    path: /tokens\n"
        "    join: {user: {step: users, by: user_id}}\n" + MINIMAL + '      owner: "@user.email"\n'
    )
    answers = {"tokens.json": [{"id": "1", "user_id": 7}]}

    without = await tried(answers, steps)
    joined = await tried(answers | {"users.json": [{"id": 7, "email": "m@example.com"}]}, steps)

    assert [None, "m@example.com"] == [t.credentials[0].owner for t in (without, joined)]
    assert without.notes


async def test_graphql_errors_in_a_good_answer_are_failures(tried):
    steps = (
        "steps:\n  - id: tokens\n    path: /graphql\n    graphql: {query: '{ tokens { id } }'}\n"
        "    records: data.tokens\n" + MINIMAL
    )
    answers = {"graphql.json": {"data": {"tokens": [{"id": "1"}]}, "errors": [{"message": "no"}]}}
    trial = await tried(answers, steps)

    assert "unexpected_response" == trial.error.kind
    assert [] == trial.credentials


async def test_what_may_not_be_there_is_skipped_with_a_note(tried):
    steps = (
        "steps:\n  - id: tokens\n    path: /tokens\n"
        + MINIMAL
        + "  - id: extra\n    path: /extra\n    on_status: {404: skip}\n"
        + MINIMAL
    )
    trial = await tried({"tokens.json": [{"id": "1"}]}, steps)

    assert trial.is_whole
    assert any("hidden from the auditor" in note for note in trial.notes)
