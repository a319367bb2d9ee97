"""The sidecar's container and its volumes."""

from typing import Any, Final

from cliproxy_operator.inject.options import Options
from cliproxy_operator.inject.shape import Json
from cliproxy_operator.inject.template import CONTAINER, Template

TOKEN_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 -- a path
"""Something mounted here keeps the pod's service account token out of the container."""
NO_TOKEN_VOLUME: Final = f"{CONTAINER}-no-token"


def sidecar(template: Template, options: Options) -> Json:
    """Return the container; `restartPolicy` only for a native sidecar."""
    made: Json = {
        "name": CONTAINER,
        "image": template.image,
        "imagePullPolicy": template.pull_policy,
        "ports": [
            {"name": "cliproxy-proxy", "containerPort": options.proxy_port, "protocol": "TCP"},
            {"name": "cliproxy-ctl", "containerPort": template.control_port, "protocol": "TCP"},
            {"name": "cliproxy-obs", "containerPort": options.observe_port, "protocol": "TCP"},
        ],
        "env": _env(template, options),
        "resources": options.resources,
        "volumeMounts": [{"name": NO_TOKEN_VOLUME, "mountPath": TOKEN_PATH, "readOnly": True}],
        # Listening is enough for the application to start; serving, before the pod gets traffic.
        "startupProbe": _probe("/health/live", options, periodSeconds=1, failureThreshold=60),
        "livenessProbe": _probe("/health/live", options, periodSeconds=10, failureThreshold=6),
        "readinessProbe": _probe("/health/ready", options, periodSeconds=5, failureThreshold=2),
        "securityContext": _security(template),
    }
    return made | {"restartPolicy": "Always"} if template.native else made


def volumes() -> list[Json]:
    """Return the volumes that the container mounts."""
    return [{"name": NO_TOKEN_VOLUME, "emptyDir": {}}]


def _env(template: Template, options: Options) -> list[Json]:
    token = {"name": template.control_secret, "key": "token"}
    return [
        _field("POD_NAME", "metadata.name"),
        _field("POD_NAMESPACE", "metadata.namespace"),
        _field("POD_IP", "status.podIP"),
        {"name": "CLIPROXY_PROXY_PORT", "value": str(options.proxy_port)},
        {"name": "CLIPROXY_CONTROL_PORT", "value": str(template.control_port)},
        {"name": "CLIPROXY_OBSERVE_PORT", "value": str(options.observe_port)},
        {"name": "CLIPROXY_CONTROL_TOKEN", "valueFrom": {"secretKeyRef": token}},
    ]


def _field(name: str, path: str) -> Json:
    # The version is the API server's default; saying it keeps a re-read pod equal to what was made.
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _probe(path: str, options: Options, **figures: int) -> Json:
    return {"httpGet": {"path": path, "port": options.observe_port}, "timeoutSeconds": 2, **figures}


def _security(template: Template) -> Json:
    """Return what the "restricted" pod security standard asks for, and a read-only root besides."""
    made: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if template.run_as_user is not None:
        made |= {"runAsUser": template.run_as_user, "runAsGroup": template.run_as_user}
    return made
