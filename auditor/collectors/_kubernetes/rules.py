"""What an RBAC rule grants, as resource → verb → true.

A resource stands for itself as long as its name means the same everywhere; one of another API
group that borrows a name with weight gets its group behind it (``jobs.example.com``). A rule for
named objects only (``resourceNames``) grants ``secrets (named)``, not secrets at large.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from auditor.collectors._notebook import texts
from auditor.model import PermissionMap

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_URL_VERBS = ("delete", "get", "head", "options", "patch", "post", "put")
_FURTHER_VERBS = {
    "roles": ("bind", "escalate"),
    "clusterroles": ("bind", "escalate"),
    "users": ("impersonate",),
    "groups": ("impersonate",),
    "serviceaccounts": ("impersonate",),
}
_WORKLOADS = ("daemonsets", "deployments", "replicasets", "statefulsets")
_GROUPS = {
    "": (
        *("configmaps", "groups", "nodes", "nodes/proxy", "pods", "pods/attach"),
        *("pods/ephemeralcontainers", "pods/exec", "secrets", "serviceaccounts"),
        *("serviceaccounts/token", "users"),
    ),
    "apps": _WORKLOADS,
    "batch": ("cronjobs", "jobs"),
    "rbac.authorization.k8s.io": ("clusterrolebindings", "clusterroles", "rolebindings", "roles"),
    "admissionregistration.k8s.io": (
        *("mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
    ),
    "certificates.k8s.io": (
        *("certificatesigningrequests", "certificatesigningrequests/approval"),
    ),
}
"""Where resources with weight live; all that a wildcard over a group is said to hold."""
_HOME = {name: group for group, names in _GROUPS.items() for name in names}


def grants(rules: Iterable[Any], namespace: str | None) -> PermissionMap:
    """Return what *rules* grant; *namespace* None is the whole cluster."""
    found: PermissionMap = {}
    for rule in rules:
        for resource, verbs in _granted(rule, is_cluster_wide=namespace is None):
            name = resource if namespace is None else f"{namespace}:{resource}"
            found.setdefault(name, {}).update(dict.fromkeys(verbs, True))
    return found


def _granted(rule: Any, *, is_cluster_wide: bool) -> Iterator[tuple[str, tuple[str, ...]]]:
    verbs = texts(rule, "verbs") or []
    is_named = bool(texts(rule, "resourceNames"))
    for group in _groups(rule):
        for resource in texts(rule, "resources") or []:
            for name in _names(group, resource):
                shown = f"{name} (named)" if is_named else name
                yield shown, _verbs(verbs, name)
    if is_cluster_wide:  # a binding in a namespace grants no addresses outside it
        for url in texts(rule, "nonResourceURLs") or []:
            is_any = "*" in verbs
            yield (
                (url if url.startswith("/") else f"/{url}"),
                _URL_VERBS if is_any else tuple(verbs),
            )


def _groups(rule: Any) -> list[str]:
    """Return the API groups of *rule*; an empty name is the core group."""
    found = rule.get("apiGroups") if isinstance(rule, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _names(group: str, resource: str) -> Iterator[str]:
    if group == "*":
        yield resource
    elif resource == "*":
        yield f"*.{group or 'core'}"
        yield from _GROUPS.get(group, ())
    elif _HOME.get(resource, group) == group:
        yield resource
    else:
        yield f"{resource}.{group or 'core'}"


def _verbs(verbs: list[str], resource: str) -> tuple[str, ...]:
    """Return *verbs* with the wildcard spelled out: over one resource it is not every power."""
    if "*" not in verbs or resource == "*":
        return tuple(verbs)
    return (*_VERBS, *_FURTHER_VERBS.get(resource, ()), *(one for one in verbs if one != "*"))
