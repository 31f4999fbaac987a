"""Reports in a bucket: the same run is the same object."""

from collections.abc import Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from auditor.delivery.s3 import S3, S3Options
from auditor.errors import DeliveryError

boto3 = pytest.importorskip("boto3")


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def build(documents, **options: Any) -> S3:
    facts = {"name": "archive", "channel": "s3", "bucket": "reports", "region": "us-east-1"}
    checked = S3Options.model_validate(facts | {"formats": ["plain"]} | options)
    return S3(checked, lambda text: text, documents=documents)


async def test_a_report_becomes_an_object_and_a_retry_changes_nothing(
    endpoint, documents, view, finding
):
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="reports")
    run = view(finding("key-1"))
    channel = build(documents, endpoint_url=endpoint, prefix="auditor/", encryption="AES256")
    (parcel,) = channel.parcels(run)
    for _ in range(2):
        await channel.send(channel.render(run, parcel), parcel)
    (listed,) = client.list_objects_v2(Bucket="reports")["Contents"]
    assert listed["Key"] == "auditor/report-12.txt"
    stored = client.get_object(Bucket="reports", Key=listed["Key"])
    assert stored["ServerSideEncryption"] == "AES256"
    assert b"key-1" in stored["Body"].read()


async def test_a_missing_bucket_is_tried_again(endpoint, documents, view, finding):
    run = view(finding("key-1"))
    channel = build(documents, endpoint_url=endpoint, bucket="absent")
    (parcel,) = channel.parcels(run)
    with pytest.raises(DeliveryError, match="NoSuchBucket") as caught:
        await channel.send(channel.render(run, parcel), parcel)
    assert caught.value.retry


async def test_an_endpoint_that_is_down_is_tried_again(endpoint, documents, view, finding):
    run = view(finding("key-1"))
    channel = build(documents, endpoint_url="http://127.0.0.1:1")
    (parcel,) = channel.parcels(run)
    with pytest.raises(DeliveryError, match="cannot be reached") as caught:
        await channel.send(channel.render(run, parcel), parcel)
    assert caught.value.retry
