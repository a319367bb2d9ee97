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
    return {
        "apiVersion": f"{_API}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": role} | ({"namespace": namespace} if namespace else {}),
        "roleRef": {"apiGroup": _API, "kind": kind, "name": role},
        "subjects": [{"apiGroup": _API, "kind": "Group", "name": group}],
    }
