"""What an administrator of AWS needs to let the auditor in, made from the declared calls."""

import json
from string import Template

from auditor.collectors._aws.calls import base_permissions, role_permissions
from auditor.resources import bundled


def documents() -> dict[str, str]:
    """Return by name the policy of the role, a StackSet template and a Terraform module."""
    actions = role_permissions()
    return {
        "policy": policy(),
        "stackset": _filled(
            "aws-stackset.txt", "\n".join(f"                  - {a}" for a in actions)
        ),
        "terraform": _filled("aws-terraform.txt", "\n".join(f'      "{a}",' for a in actions)),
    }


def policy() -> str:
    """Return the least-privilege policy of the role as JSON."""
    statement = {
        "Sid": "AuditCredentials",
        "Effect": "Allow",
        "Action": role_permissions(),
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)


def _filled(name: str, actions: str) -> str:
    text = (bundled("templates") / name).read_text("utf-8")
    base = ", ".join(f'"{permission}"' for permission in base_permissions())
    return Template(text).substitute(actions=actions, base_actions=base).rstrip()
