"""Whether a pod gets a sidecar: asked for, declined, there already, or refused with a reason.

Who is asked about at all is the webhook configuration's word: what comes here and does not decline, asks.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cliproxy_api.vocabulary import INJECT_LABEL, INJECTED_ANNOTATION, SIDECAR_LABEL
from cliproxy_operator.inject.options import (
    OBSERVE_PORT_ANNOTATION,
    PROXY_PORT_ANNOTATION,
    Options,
)
from cliproxy_operator.inject.shape import (
    Pod,
    annotations_of,
    container_named,
    containers,
    labels_of,
    spec_of,
    starters,
)
from cliproxy_operator.inject.template import CONTAINER, Template

MIRROR_ANNOTATION: Final = "kubernetes.io/config.mirror"
"""On the image of a static pod in the API: changing it changes nothing."""
NEVER_NAMESPACES: Final = frozenset({"kube-system", "kube-public", "kube-node-lease"})


class Standing(StrEnum):
    """What is to be done about a pod."""

    INJECT = "Inject"
    PRESENT = "Present"
    """Injected before; another webhook may have added containers since."""
    LEAVE = "Leave"
    """Declined, or a sidecar written by hand."""
    REFUSED = "Refused"
    """It asks, and cannot have one."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The standing and, if refused, why."""

    standing: Standing
    reason: str = ""
    """One CamelCase word."""
    message: str = ""
    """What is in the way and what to do, as a sentence."""


def judge(pod: Pod, options: Options, template: Template) -> Verdict:
    """Return what is to be done about a pod that the API server asks about."""
    labels, annotations = labels_of(pod), annotations_of(pod)
    if (
        "false" in (labels.get(INJECT_LABEL), annotations.get(INJECT_LABEL))
        or MIRROR_ANNOTATION in annotations
    ):
        return Verdict(Standing.LEAVE)
    if container_named(pod, CONTAINER) is not None:
        if INJECTED_ANNOTATION in annotations:
            return Verdict(Standing.PRESENT)
        if labels.get(SIDECAR_LABEL) == "true":
            return Verdict(Standing.LEAVE)
        return _refused(
            "NameTaken",
            f"a container is called {CONTAINER} already; if it is a sidecar written by hand, label the pod"
            f' {SIDECAR_LABEL}: "true", else give it another name',
        )
    return _obstacle(pod, options, template) or Verdict(Standing.INJECT)


def _obstacle(pod: Pod, options: Options, template: Template) -> Verdict | None:
    spec = spec_of(pod)
    if spec.get("hostNetwork"):
        return _refused(
            "HostNetwork",
            "the pod shares its node's network, where every program of the node could use the providers;"
            " run it in the pod network",
        )
    operating_system = (spec.get("os") or {}).get("name") or _wanted_os(pod)
    if operating_system not in ("", "linux"):
        return _refused("OperatingSystem", f"the sidecar runs on linux, the pod on {operating_system[:40]}")
    policy = spec.get("restartPolicy") or "Always"
    if policy != "Always" and not template.native:
        return _refused(
            "NeverEnds",
            f"a pod with restartPolicy {policy} would never end beside a sidecar that keeps running;"
            " this needs native sidecars (Kubernetes 1.29)",
        )
    return _port_taken(pod, options, template)


def _wanted_os(pod: Pod) -> str:
    selector = spec_of(pod).get("nodeSelector") or {}
    return selector.get("kubernetes.io/os") or selector.get("beta.kubernetes.io/os") or ""


def _port_taken(pod: Pod, options: Options, template: Template) -> Verdict | None:
    ours = {
        template.control_port: "",
        options.observe_port: OBSERVE_PORT_ANNOTATION,
        options.proxy_port: PROXY_PORT_ANNOTATION,
    }
    if len(ours) < 3:  # noqa: PLR2004 -- the three of them
        return _refused("PortTaken", "the sidecar's ports must differ; change its port annotations")
    lasting = [one for one in starters(pod) if one.get("restartPolicy") == "Always"]
    for container in [*containers(pod), *lasting]:
        for entry in container.get("ports") or []:
            port = entry.get("containerPort")
            if port in ours:
                cure = f"set {ours[port]}" if ours[port] else "let the container listen elsewhere"
                name = str(container.get("name"))[:63]
                sentence = f"container {name} listens on {port}, as the sidecar would; {cure}"
                return _refused("PortTaken", sentence)
    return None


def _refused(reason: str, message: str) -> Verdict:
    return Verdict(Standing.REFUSED, reason, message)
