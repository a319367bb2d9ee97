"""Reads the parts of a pod that injection looks at; what is absent or null is empty.

The API server has validated neither names nor references yet when it asks, but types it has.
"""

from collections.abc import Mapping
from typing import Any, Final

Pod = Mapping[str, Any]
Json = dict[str, Any]

MESHES: Final = frozenset(
    {
        "istio-init",
        "istio-proxy",
        "istio-validation",
        "linkerd-init",
        "linkerd-network-validator",
        "linkerd-proxy",
    }
)
"""Containers that service meshes inject: no applications, and ours starts after them."""


def spec_of(pod: Pod) -> Json:
    """Return the pod's spec."""
    return pod.get("spec") or {}


def labels_of(pod: Pod) -> dict[str, str]:
    """Return the pod's labels."""
    return (pod.get("metadata") or {}).get("labels") or {}


def annotations_of(pod: Pod) -> dict[str, str]:
    """Return the pod's annotations."""
    return (pod.get("metadata") or {}).get("annotations") or {}


def containers(pod: Pod) -> list[Json]:
    """Return the containers that run side by side."""
    return spec_of(pod).get("containers") or []


def starters(pod: Pod) -> list[Json]:
    """Return the init containers, native sidecars among them."""
    return spec_of(pod).get("initContainers") or []


def container_named(pod: Pod, name: str) -> Json | None:
    """Return the container or init container of this name."""
    return next((one for one in [*containers(pod), *starters(pod)] if one.get("name") == name), None)
