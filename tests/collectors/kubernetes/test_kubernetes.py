"""Kubernetes: tokens by their metadata, their use, and what happens when something fails."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from auditor.collectors.kubernetes import Kubernetes
from auditor.errors import SourceError
from auditor.model import ExpiresState, LastUsedState, Principal, PrincipalType, Status
from tests.collectors.gathering import context, opener, read
from tests.fakes.http import Reply
from tests.fakes.kubernetes import CLUSTER_UID, TOKEN, FakeKubernetes

SECRETS = "/api/v1/secrets"
TRACKING = "*/configmaps/kube-apiserver-legacy-service-account-token-tracking"


@pytest.fixture
def fake():
    fake = FakeKubernetes()
    fake.add_token("deployer-token", last_used="2026-02-20")
    fake.add_token("idle-token", "idle")
    with fake.server:
        yield fake


@pytest.fixture
def kubernetes(fake, now, tmp_path):
    return opener(
        Kubernetes,
        context(now, tmp_path),
        name="prod",
        provider="kubernetes",
        base_url=fake.server.url,
        token=TOKEN,
    )


async def test_a_token_is_what_its_metadata_says(kubernetes, now):
    found = await read(kubernetes(cluster="blue"))

    assert found.status == "complete"
    token = found.credentials["deployer-token"]
    assert token.uid == f"kubernetes:{CLUSTER_UID}:service_account_token:uid-ci-deployer-token"
    assert (token.organization.id, token.organization.name) == (CLUSTER_UID, "blue")
    assert token.type == "Service Account Token"
    assert token.principal == Principal(
        "uid-of-deployer", "ci/deployer", PrincipalType.SERVICE_ACCOUNT
    )
    assert token.status is Status.ACTIVE
    assert token.created_at == datetime(2025, 7, 14, 16, 5, 9, tzinfo=UTC)
    assert token.expires_state is ExpiresState.UNSUPPORTED
    assert token.last_used_at == datetime(2026, 2, 20, tzinfo=UTC)
    assert token.last_used_precision == timedelta(days=1)
    assert token.permissions == {}
    assert token.tags == {"namespace": "ci", "service_account": "deployer"}


async def test_only_metadata_of_secrets_is_ever_asked_for(kubernetes, fake):
    fake.secrets.append({"metadata": {"name": "helm", "uid": "h"}, "type": "helm.sh/release.v1"})

    await read(kubernetes())

    asked = [request for request in fake.server.requests if "secrets" in request.path]
    assert asked
    for request in asked:
        assert request.headers["accept"] == (
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        )
        assert request.query["fieldSelector"] == ["type=kubernetes.io/service-account-token"]


@pytest.mark.parametrize("is_polite", [True, False])
async def test_a_server_that_sends_more_than_metadata_is_not_read(kubernetes, fake, is_polite):
    if is_polite:
        fake.knows_metadata = False
        fake.server.fault("*/kube-system", reply=Reply(200, {"metadata": {"uid": CLUSTER_UID}}))
    else:
        whole = {"kind": "SecretList", "metadata": {}, "items": fake.secrets}
        fake.server.fault(SECRETS, reply=Reply(200, whole))

    found = await read(kubernetes())

    assert (found.status, found.reason) == ("failed", "unexpected_response")
    assert "CANARY" not in str(found.error)


async def test_a_secret_of_no_service_account_is_left_out(kubernetes, fake):
    del fake.secrets[0]["metadata"]["annotations"]

    assert set((await read(kubernetes())).credentials) == {"idle-token"}


@pytest.mark.parametrize(
    ("labels", "created", "since", "state"),
    [
        ({"last_used": "2026-02-20"}, "2024-01-01T00:00:00Z", None, LastUsedState.USED),
        ({}, "2025-06-02T00:00:00Z", "2025-06-01", LastUsedState.NEVER),
        # Tracking began in the middle of the first day.
        ({}, "2025-06-01T23:00:00Z", "2025-06-01", LastUsedState.NOT_IN_WINDOW),
        ({}, "2020-01-01T00:00:00Z", "2025-06-01", LastUsedState.NOT_IN_WINDOW),
        ({}, "2020-01-01T00:00:00Z", "2026-03-01", LastUsedState.UNKNOWN),
        ({}, "2025-06-02T00:00:00Z", None, LastUsedState.UNKNOWN),
        ({}, "2025-06-02T00:00:00Z", "some day", LastUsedState.UNKNOWN),
        ({}, None, "2025-06-01", LastUsedState.UNKNOWN),
        ({"last_used": "lately"}, "2025-06-02T00:00:00Z", "2025-06-01", LastUsedState.UNKNOWN),
        ({"last_used": "2036-01-01"}, "2025-06-02T00:00:00Z", "2025-06-01", LastUsedState.UNKNOWN),
    ],
)
async def test_the_last_use_is_the_label_or_what_its_absence_proves(
    kubernetes, fake, labels, created, since, state
):
    fake.since = since
    fake.add_token("one", **labels)["creationTimestamp"] = created

    token = (await read(kubernetes())).credentials["one"]

    assert token.last_used_state is state
    expected = datetime(2025, 6, 2, tzinfo=UTC) if state is LastUsedState.NOT_IN_WINDOW else None
    assert token.last_used_window_start == expected


async def test_a_cluster_that_keeps_no_record_of_use_is_read_whole_and_says_so(kubernetes, fake):
    fake.since = None

    found = await read(kubernetes())

    assert found.status == "complete"
    assert "since when" in found.notes[0]


async def test_a_refused_record_of_use_is_a_gap(kubernetes, fake):
    fake.server.fault(TRACKING, reply=Reply(403, {}))

    found = await read(kubernetes())

    assert (found.status, found.reason) == ("partial", "access_denied")
    assert found.credentials["idle-token"].last_used_state is LastUsedState.UNKNOWN


async def test_invalid_and_deleted_tokens_are_no_longer_active(kubernetes, fake):
    fake.add_token("invalid", invalid_since="2026-01-01")
    fake.add_token("leaving")["deletionTimestamp"] = "2026-02-28T00:00:00Z"

    found = await read(kubernetes())

    assert found.credentials["invalid"].status is Status.INACTIVE
    assert found.credentials["leaving"].status is Status.REVOKED


async def test_pages_are_followed_through_an_empty_one(kubernetes, fake):
    for number in range(4):
        fake.add_token(f"more-{number}")
    fake.page_size = 2
    empty = {"kind": "PartialObjectMetadataList", "metadata": {"continue": "2"}, "items": None}
    fake.server.fault(SECRETS, query={"continue": "2"}, times=0)
    fake.server.fault(
        SECRETS, after=1, times=1, reply=Reply(200, empty | {"metadata": {"continue": "4"}})
    )

    found = await read(kubernetes())

    assert found.status == "complete"
    assert set(found.credentials) == {"deployer-token", "idle-token", "more-2", "more-3"}


async def test_a_list_that_expired_is_begun_anew_without_repeating_itself(kubernetes, fake):
    fake.page_size = 1
    fake.expired = 1

    found = await read(kubernetes())

    assert found.status == "complete"
    assert len(found.uids) == len(set(found.uids)) == 2


async def test_a_list_that_keeps_expiring_is_partial(kubernetes, fake):
    fake.page_size = 1
    fake.expired = 5

    assert (await read(kubernetes())).status == "partial"


async def test_the_same_cluster_has_the_same_uids_whatever_it_is_called(kubernetes):
    one, other = await read(kubernetes()), await read(kubernetes(name="x", cluster="green"))

    assert one.uids == other.uids


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(401, {}), "authentication_failed"),
        (Reply(403, {}), "access_denied"),
        (Reply(404, {}), "not_found"),
        (Reply(500, b"oops"), "unavailable"),
        (Reply(200, b"{broken"), "unexpected_response"),
        (Reply(200, []), "unexpected_response"),
        (Reply(200, {"kind": "PartialObjectMetadataList"}), "unexpected_response"),
    ],
)
@pytest.mark.parametrize("path", [SECRETS, "/api/v1/namespaces/kube-system"])
async def test_a_list_that_cannot_be_read_fails_the_source(kubernetes, fake, path, reply, reason):
    fake.server.fault(path, reply=reply)

    found = await read(kubernetes())

    assert (found.status, found.reason) == ("failed", reason)


async def test_records_of_wrong_types_are_left_out_and_told(kubernetes, fake):
    meta = fake.add_token("odd")
    meta |= {"uid": 17.5, "labels": ["x"]}
    fake.add_token("numbers")["creationTimestamp"] = 17
    fake.secrets.append({"metadata": "none", "type": fake.secrets[0]["type"]})

    found = await read(kubernetes())

    assert (found.status, found.reason) == ("partial", "malformed_record")
    assert found.credentials["numbers"].created_at is None


async def test_the_check_tells_what_is_granted(kubernetes, fake):
    fake.server.fault("*/rolebindings", reply=Reply(403, {}))
    collector = kubernetes()

    rows = await collector.check()
    await collector.aclose()

    assert [row.permission for row in rows if not row.is_granted] == ["list rolebindings"]
    assert len(rows) == 6


async def test_the_check_of_a_refused_token_fails(kubernetes):
    collector = kubernetes(token="CANARY-wrong")

    with pytest.raises(SourceError, match="401"):
        await collector.check()
    await collector.aclose()


def test_the_manifest_grants_reading_alone():
    (text,) = Kubernetes.setup_documents().values()
    role, _, _ = yaml.safe_load_all(text)

    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"get", "list"}
