"""A pod and the template -> the patch that gives it its sidecar, and what a person should know about it.

The same pod comes out whatever ran before: a second look at an injected pod changes nothing.
"""

import copy
from dataclasses import dataclass
from typing import Final

from cliproxy_api.vocabulary import INJECTED_ANNOTATION, NOT_INJECTED_ANNOTATION, SIDECAR_LABEL
from cliproxy_operator.inject import container as parts
from cliproxy_operator.inject.jsonpatch import diff
from cliproxy_operator.inject.options import VARIABLES_ANNOTATION, Options, read_options
from cliproxy_operator.inject.podlevel import widened
from cliproxy_operator.inject.shape import (
    MESHES,
    Json,
    Pod,
    annotations_of,
    container_named,
    containers,
    labels_of,
    spec_of,
    starters,
)
from cliproxy_operator.inject.template import CONTAINER, Template
from cliproxy_operator.inject.variables import missing, obscured
from cliproxy_operator.inject.verdict import Standing, Verdict, judge

MESH_PORTS: Final = {
    "istio-proxy": "traffic.sidecar.istio.io/excludeInboundPorts",
    "linkerd-proxy": "config.linkerd.io/skip-inbound-ports",
}
"""A mesh's proxy and the annotation that lets the operator past it."""


@dataclass(frozen=True, slots=True)
class Injection:
    """What to answer to the API server."""

    verdict: Verdict
    patch: tuple[Json, ...]
    """JSON patch operations; empty: the pod stays as it is."""
    warnings: tuple[str, ...]
    """For whoever creates the pod."""


def inject(pod: Pod, template: Template) -> Injection:
    """Return what becomes of a pod that the API server asks about. Total: any pod has an answer."""
    options = read_options(annotations_of(pod), template, _volume_names(spec_of(pod)))
    verdict = judge(pod, options, template)
    if verdict.standing is Standing.LEAVE:
        return Injection(verdict, (), ())
    made: Json = copy.deepcopy(dict(pod))
    warnings: list[str] = []
    if verdict.standing is Standing.REFUSED:
        _annotate(made, NOT_INJECTED_ANNOTATION, f"{verdict.reason}: {verdict.message}")
        warnings.append(f"cliproxy: no sidecar: {verdict.message}")
    else:
        if verdict.standing is Standing.INJECT:
            _add_sidecar(made, template, options)
            told = (*options.told, *_mesh(pod, template, options))
            warnings += [f"cliproxy: {sentence}" for sentence in told]
        warnings += _add_variables(made, options)
    return Injection(verdict, tuple(diff(dict(pod), made)), tuple(warnings))


def _add_sidecar(pod: Json, template: Template, options: Options) -> None:
    spec = pod["spec"] = spec_of(pod)
    added = parts.sidecar(template, options)
    if template.native:
        spec["initContainers"] = [*starters(pod)]
        spec["initContainers"].insert(_first_place(pod), added)
    else:
        spec["containers"] = [*containers(pod), added]
    if spec.get("resources"):
        spec["resources"] = widened(spec["resources"], options.resources)
    known = _volume_names(spec)
    lacking = [volume for volume in parts.volumes(options) if volume["name"] not in known]
    if lacking:
        spec["volumes"] = [*(spec.get("volumes") or []), *lacking]
    pod["metadata"] = {**(pod.get("metadata") or {}), "labels": {**labels_of(pod), SIDECAR_LABEL: "true"}}
    _annotate(pod, INJECTED_ANNOTATION, template.digest)
    pod["metadata"]["annotations"].pop(NOT_INJECTED_ANNOTATION, None)


def _volume_names(spec: Json) -> set[str]:
    return {str(volume.get("name")) for volume in spec.get("volumes") or []}


def _first_place(pod: Pod) -> int:
    """Return where a native sidecar starts: before everything that may call it, after a mesh."""
    places = [number for number, one in enumerate(starters(pod)) if one.get("name") in MESHES]
    return max(places, default=-1) + 1


def _add_variables(pod: Json, options: Options) -> list[str]:
    """Set the variables that applications lack; returns what to tell."""
    warnings = []
    for one in containers(pod):
        if one.get("name") == CONTAINER or one.get("name") in MESHES:
            continue
        if added := missing(one, options):
            one["env"] = [*(one.get("env") or []), *added]
        elif obscured(one, options):
            name = str(one.get("name"))[:63]
            warnings.append(
                f"cliproxy: container {name} has envFrom, so its variables are left alone;"
                f" set OPENAI_BASE_URL itself, or annotate {VARIABLES_ANNOTATION}: always"
            )
    return warnings


def _mesh(pod: Pod, template: Template, options: Options) -> list[str]:
    ports = f"{template.control_port},{options.observe_port}"
    return [
        f"behind {proxy} the operator cannot reach the sidecar; annotate the pod {annotation}: {ports!r}"
        for proxy, annotation in MESH_PORTS.items()
        if container_named(pod, proxy) is not None
        and str(template.control_port) not in annotations_of(pod).get(annotation, "").split(",")
    ]


def _annotate(pod: Json, name: str, value: str) -> None:
    annotations = {**annotations_of(pod), name: value}
    pod["metadata"] = {**(pod.get("metadata") or {}), "annotations": annotations}
