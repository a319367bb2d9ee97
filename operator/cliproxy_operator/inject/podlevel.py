"""A pod's own `spec.resources`, which hold for all its containers together, made to fit one more.

The API server refuses a pod whose containers' requests come to more than the pod's, or with a container whose
limit is above it. What the sidecar itself gets is left to `resources.py`.
Source: kubernetes/enhancements, KEP-2837, "PodSpec Validation Rules" (read 2026-11-22).
"""

from collections.abc import Mapping
from typing import Any

from cliproxy_operator.inject.quantity import parse_quantity, write_quantity
from cliproxy_operator.inject.shape import Json


def widened(whole: Json, sidecar: Mapping[str, Any]) -> Json:
    """Return a pod's resources with its sidecar's added to what is set; what is not, the API server derives.

    A sidecar without a limit counts with its request. Where request and limit of the pod are the same they
    stay so, as its quality of service goes by that. An amount that cannot be read is left to the API server.
    """
    requests, limits = dict(whole.get("requests") or {}), dict(whole.get("limits") or {})
    for name, request in sidecar["requests"].items():
        limit = sidecar.get("limits", {}).get(name, request)
        same = name in requests and _same(requests[name], limits.get(name))
        _add(requests, name, limit if same else request)
        _add(limits, name, limit)
    set_ = {"requests": requests, "limits": limits}
    return whole | {part: amounts for part, amounts in set_.items() if amounts}


def _same(one: object, other: object) -> bool:
    try:
        return parse_quantity(str(one)) == parse_quantity(str(other))
    except ValueError:
        return False


def _add(amounts: Json, name: str, more: str) -> None:
    if name not in amounts:
        return
    try:
        total = parse_quantity(str(amounts[name])) + parse_quantity(more)
    except ValueError:
        return
    amounts[name] = write_quantity(name, total)
