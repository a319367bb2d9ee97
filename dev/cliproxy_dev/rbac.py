"""The operator's rights on the local control plane: the chart's own rules, bound to a group.

So whatever the chart forgets to grant, `make run` and the cluster tests miss as well.
"""

from pathlib import Path
from typing import Any, Final

import yaml

OPERATORS_GROUP: Final = "cliproxy:operators"
RULES: Final = Path(__file__).resolve().parents[2] / "charts" / "cliproxy-operator" / "rbac"
NAMESPACED: Final = ("namespaced", "certificates", "snapshots", "prometheusrules")
_API: Final = "rbac.authorization.k8s.io"


def manifests(
    *, lease_namespace: str, group: str = OPERATORS_GROUP, configuration: str = "cliproxy-operator"
) -> list[dict[str, Any]]:
    """Return roles and bindings that let `group` run the operator for the whole cluster.

    `configuration` is the name of the webhook configurations.
    """
    return [
        _role(
            "ClusterRole",
            "cliproxy-operator",
            _rules(*NAMESPACED, "cluster") + _named(_rules("webhooks"), configuration),
        ),
        _binding("ClusterRole", "cliproxy-operator", group),
        _role(
            "Role",
            "cliproxy-operator-leases",
            _rules("leases", "authority", "webhook-certificates"),
            lease_namespace,
        ),
        _binding("Role", "cliproxy-operator-leases", group, lease_namespace),
    ]


def installation(
    name: str, namespace: str, account: str, *, watch: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Return the service account, roles and bindings as the chart's default values make them.

    `name` is the release's; `watch` are the namespaces to serve, none for all of them.
    """
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    own = _rules("leases", "authority", "webhook-certificates")
    everywhere = _rules("cluster") + _named(_rules("webhooks"), name)
    there = [_bound("RoleBinding", name, "ClusterRole", subject, one) for one in watch]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}},
        _role("ClusterRole", name, _rules(*NAMESPACED)),
        _role("ClusterRole", f"{name}-cluster", everywhere),
        _bound("ClusterRoleBinding", f"{name}-cluster", "ClusterRole", subject),
        _role("Role", f"{name}-leases", own, namespace),
        _bound("RoleBinding", f"{name}-leases", "Role", subject, namespace),
        *(there or [_bound("ClusterRoleBinding", name, "ClusterRole", subject)]),
    ]


def collection_of(document: dict[str, Any]) -> str:
    """Return where the API server takes a new one of such objects."""
    version = document["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = document["metadata"].get("namespace")
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{place}/{document['kind'].lower()}s"


def _rules(*names: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    for name in names:
        rules += yaml.safe_load((RULES / f"{name}.yaml").read_text("utf-8"))
    return rules


def _named(rules: list[dict[str, Any]], configuration: str) -> list[dict[str, Any]]:
    return [rule | {"resourceNames": [configuration]} for rule in rules]


def _role(kind: str, name: str, rules: list[dict[str, Any]], namespace: str | None = None) -> dict[str, Any]:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": kind,
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "rules": rules,
    }


def _binding(kind: str, role: str, group: str, namespace: str | None = None) -> dict[str, Any]:
    subject = {"apiGroup": _API, "kind": "Group", "name": group}
    return _bound(f"{kind}Binding", role, kind, subject, namespace)


def _bound(
    kind: str, role: str, role_kind: str, subject: dict[str, Any], namespace: str | None = None
) -> dict[str, Any]:
    return {
        "apiVersion": f"{_API}/v1",
        "kind": kind,
        "metadata": {"name": role} | ({"namespace": namespace} if namespace else {}),
        "roleRef": {"apiGroup": _API, "kind": role_kind, "name": role},
        "subjects": [subject],
    }
