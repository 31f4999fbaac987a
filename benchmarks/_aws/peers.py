"""Other tools that look at IAM, and how their answers compare with the truth.

They are not among our dependencies: whoever wants the comparison installs them beside the house.
"""

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

HOME = Path(os.environ.get("AWS_BENCH", "/tmp/aws-bench"))  # noqa: S108 - named in the help

CUSTODIAN = """\
policies:
  - name: unused
    resource: aws.iam-user
    filters:
      - or:
          - and:
              - {type: credential, key: access_keys.active, value: true}
              - type: credential
                key: access_keys.last_used_date
                value_type: age
                value: 45
                op: gte
          - and:
              - {type: credential, key: access_keys.active, value: true}
              - {type: credential, key: access_keys.last_used_date, value: absent}
              - type: credential
                key: access_keys.last_rotated
                value_type: age
                value: 45
                op: gte
  - name: old
    resource: aws.iam-user
    filters:
      - type: access-key
        key: Status
        value: Active
      - type: access-key
        match-operator: and
        key: CreateDate
        value_type: age
        value: 90
        op: gte
  - name: admin-simulated
    resource: aws.iam-user
    filters:
      - {type: check-permissions, match: allowed, actions: ["*:*"]}
  - name: admin-by-name
    resource: aws.iam-user
    filters:
      - {type: policy, key: PolicyName, value: AdministratorAccess, include-via: true}
"""


@dataclass
class Peer:
    """One tool."""

    name: ClassVar[str]
    program: ClassVar[str]

    def command(self) -> list[str] | None:
        """Return the command line; None where the tool is not installed."""
        path = HOME / self.program
        return [str(path), *self.arguments()] if path.exists() else None

    def how_to_install(self) -> str:
        folder, name = self.program.split("/")[0], self.program.split("/")[0]
        return f"python -m venv {HOME / folder} && {HOME / folder}/bin/pip install {name}"

    def arguments(self) -> list[str]:
        raise NotImplementedError

    def prepare(self, folder: Path) -> None:
        """Write what the tool reads into *folder*, its working directory."""

    def judge(self, folder: Path, truth: dict[str, Any]) -> str:
        """Compare what the tool wrote with the truth; empty where it wrote nothing."""
        raise NotImplementedError


class Custodian(Peer):
    """Cloud Custodian with four findings in one file."""

    name = "c7n, four findings"
    program = "c7n/bin/custodian"

    def arguments(self) -> list[str]:
        return ["run", "--region", "us-east-1", "-s", "out", "--cache", "cache.db", "policies.yml"]

    def prepare(self, folder: Path) -> None:
        (folder / "policies.yml").write_text(CUSTODIAN)

    def judge(self, folder: Path, truth: dict[str, Any]) -> str:
        wanted = {
            "unused": set(truth["users_with_unused_key"]),
            "old": set(truth["users_with_old_key"]),
        }
        found = {}
        for policy in ("unused", "old", "admin-simulated", "admin-by-name"):
            path = folder / "out" / policy / "resources.json"
            if not path.exists():
                return ""
            found[policy] = {one["UserName"] for one in json.loads(path.read_text())}
        false = sum(len(found[p] - wanted[p]) for p in wanted)
        missed = sum(len(wanted[p] - found[p]) for p in wanted)
        admins = set(truth["admins"])
        simulated = len(admins - found["admin-simulated"])
        named = len(admins - found["admin-by-name"])
        return (
            f"{false} false, {missed} missed of {sum(map(len, wanted.values()))} (per user); of "
            f"{len(admins)} admins {simulated} missed by simulation, {named} by name"
        )


class Prowler(Peer):
    """Prowler with its checks of IAM credentials."""

    name = "Prowler, credential checks"
    program = "prowler/bin/prowler"
    checks = (
        "iam_user_accesskey_unused",
        "iam_rotate_access_key_90_days",
        "iam_user_two_active_access_key",
        "iam_user_no_setup_initial_access_key",
        "iam_user_administrator_access_policy",
        "iam_no_root_access_key",
        "iam_inline_policy_allows_privilege_escalation",
        "iam_inline_policy_no_administrative_privileges",
        "iam_policy_allows_privilege_escalation",
        "iam_customer_attached_policy_no_administrative_privileges",
        "iam_aws_attached_policy_no_administrative_privileges",
        "iam_group_administrator_access_policy",
    )

    def arguments(self) -> list[str]:
        outputs = ["-M", "csv", "html", "json-ocsf", "-o", "out", "--no-banner"]
        return ["aws", "-c", *self.checks, *outputs, "-f", "us-east-1"]

    def judge(self, folder: Path, truth: dict[str, Any]) -> str:
        tables = sorted((folder / "out").glob("*.csv"))
        if not tables:
            return ""
        unused: set[str] = set()
        with tables[0].open(newline="") as stream:
            for row in csv.DictReader(stream, delimiter=";"):
                if row["CHECK_ID"] == "iam_user_accesskey_unused" and row["STATUS"] == "FAIL":
                    unused.add(row["RESOURCE_UID"].rpartition("/")[2])
        wanted = set(truth["users_with_unused_key"])
        return (
            f"unused keys: {len(unused - wanted)} false, {len(wanted - unused)} missed of "
            f"{len(wanted)} (per user)"
        )


PEERS: tuple[Peer, ...] = (Custodian(), Prowler())
