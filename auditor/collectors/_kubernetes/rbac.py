"""Which service account may do what: roles and bindings, gathered once per cluster."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from auditor.collectors._kubernetes.rules import grants
from auditor.collectors._notebook import child, text
from auditor.model import PermissionMap, Privilege
from auditor.policy.privilege import rules_for

_EVERYBODY = ("system:authenticated", "system:serviceaccounts")

Subject = tuple[str, str, str]
"""Kind, namespace (empty but for service accounts) and name."""


@dataclass(frozen=True)
class _Binding:
    name: str
    namespace: str | None
    """None: for the whole cluster."""
    role: tuple[str, str, str]
    """Kind, namespace (empty for cluster roles) and name."""

    def __str__(self) -> str:
        where = "" if self.namespace is None else f" in {self.namespace}"
        kind = "ClusterRoleBinding" if self.namespace is None else "RoleBinding"
        return f"{kind} {self.name}{where} grants {self.role[0]} {self.role[2]}"


class Rbac:
    """Roles and bindings; memory grows with their number, not with that of credentials."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str, str], list[Any]] = {}
        self._bindings: dict[Subject, list[_Binding]] = defaultdict(list)
        self._granted: dict[_Binding, tuple[PermissionMap, bool]] = {}

    def add_role(self, kind: str, item: dict[str, Any]) -> None:
        """Remember a ``Role`` or ``ClusterRole``."""
        meta = child(item, "metadata")
        name, rules = text(meta, "name"), item.get("rules")
        if name is not None and isinstance(rules, list):
            namespace = (text(meta, "namespace") or "") if kind == "Role" else ""
            self._rules[kind, namespace, name] = rules

    def add_binding(self, kind: str, item: dict[str, Any]) -> None:
        """Remember a ``RoleBinding`` or ``ClusterRoleBinding``."""
        meta, ref = child(item, "metadata"), child(item, "roleRef")
        name, role = text(meta, "name"), text(ref, "name")
        namespace = None if kind == "ClusterRoleBinding" else text(meta, "namespace") or ""
        if name is None or role is None:
            return
        role_kind = text(ref, "kind") or ""
        binding = _Binding(
            name, namespace, (role_kind, (namespace or "") if role_kind == "Role" else "", role)
        )
        subjects = item.get("subjects")
        for subject in subjects if isinstance(subjects, list) else []:
            found = _subject(subject, namespace)
            if found is not None:
                self._bindings[found].append(binding)

    def of(self, namespace: str, name: str) -> tuple[PermissionMap, tuple[str, ...]]:
        """Return what a service account may do, and by which bindings it administers."""
        subjects: list[Subject] = [("ServiceAccount", namespace, name)]
        subjects.append(("User", "", f"system:serviceaccount:{namespace}:{name}"))
        groups = (*_EVERYBODY, f"system:serviceaccounts:{namespace}")
        subjects += [("Group", "", group) for group in groups]
        permissions: PermissionMap = {}
        paths = []
        for subject in subjects:
            for binding in self._bindings.get(subject, ()):
                granted, is_admin = self._of(binding)
                for resource, verbs in granted.items():
                    permissions.setdefault(resource, {}).update(verbs)
                if is_admin:
                    paths.append(str(binding))
        return permissions, tuple(dict.fromkeys(paths))

    def _of(self, binding: _Binding) -> tuple[PermissionMap, bool]:
        if binding not in self._granted:
            # A binding to a role that is not there grants nothing.
            granted = grants(self._rules.get(binding.role, []), binding.namespace)
            level = rules_for("kubernetes").level
            is_admin = any(
                level(resource, verb) is Privilege.ADMIN
                for resource, verbs in granted.items()
                for verb in verbs
            )
            self._granted[binding] = granted, is_admin
        return self._granted[binding]


def _subject(record: Any, namespace: str | None) -> Subject | None:
    kind, name = text(record, "kind"), text(record, "name")
    if kind is None or name is None:
        return None
    if kind == "ServiceAccount":
        return kind, text(record, "namespace") or namespace or "", name
    return kind, "", name
