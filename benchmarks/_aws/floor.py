"""The floor of `benchmarks.aws`: the calls that cannot be saved, from plain threads.

python -m benchmarks._aws.floor URL THREADS
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3  # type: ignore[import-untyped]
from botocore.config import Config

from benchmarks._aws.keys import KEY_ID, SECRET


def floor(url: str, threads: int) -> None:
    """Make the calls that any tool needs to name each key, and nothing else."""
    client = boto3.client(
        "iam",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(max_pool_connections=threads),
    )
    while client.generate_credential_report()["State"] != "COMPLETE":
        time.sleep(0.5)
    lines = client.get_credential_report()["Content"].decode().splitlines()
    for _page in client.get_paginator("get_account_authorization_details").paginate(
        Filter=["User", "Group", "LocalManagedPolicy", "AWSManagedPolicy"],
        PaginationConfig={"PageSize": 1000},
    ):
        pass
    rows = [line.split(",") for line in lines[2:]]
    users = [row[0] for row in rows if row[9] != "N/A"]
    with ThreadPoolExecutor(threads) as pool:
        for _keys in pool.map(lambda name: client.list_access_keys(UserName=name), users):
            pass


if __name__ == "__main__":
    floor(sys.argv[1], int(sys.argv[2]))
