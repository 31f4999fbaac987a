"""Where the APIs are: endpoints and signing regions of each partition (botocore's endpoint data).

IAM and Organizations have one endpoint per partition, STS and Access Analyzer one per region.
"""

from typing import NamedTuple

from auditor.collectors._aws.calls import Api
from auditor.collectors._aws.options import Partition


class Place(NamedTuple):
    """One endpoint."""

    url: str
    region: str
    """To sign for."""


class _Partition(NamedTuple):
    suffix: str
    region: str
    iam: str
    organizations: str


_PARTITIONS: dict[str, _Partition] = {
    "aws": _Partition(
        "amazonaws.com", "us-east-1", "iam.amazonaws.com", "organizations.us-east-1.amazonaws.com"
    ),
    "aws-us-gov": _Partition(
        "amazonaws.com",
        "us-gov-west-1",
        "iam.us-gov.amazonaws.com",
        "organizations.us-gov-west-1.amazonaws.com",
    ),
    "aws-cn": _Partition(
        "amazonaws.com.cn",
        "cn-north-1",
        "iam.cn-north-1.amazonaws.com.cn",
        "organizations.cn-northwest-1.amazonaws.com.cn",
    ),
}
_ORGANIZATIONS_REGION = {"aws-cn": "cn-northwest-1"}


def places(partition: Partition, region: str | None, endpoint: str | None) -> dict[Api, Place]:
    """Return where each API is; *endpoint* takes the place of every address."""
    known = _PARTITIONS[partition]
    home = region or known.region
    urls = {
        Api.IAM: (known.iam, known.region),
        Api.STS: (f"sts.{home}.{known.suffix}", home),
        Api.ORGANIZATIONS: (
            known.organizations,
            _ORGANIZATIONS_REGION.get(partition, known.region),
        ),
        Api.ACCESS_ANALYZER: (f"access-analyzer.{home}.{known.suffix}", home),
    }
    return {
        api: Place(endpoint or f"https://{host}", signing) for api, (host, signing) in urls.items()
    }
