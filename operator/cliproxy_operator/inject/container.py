"""The sidecar's container and its volumes."""

from typing import Any, Final

from cliproxy_api.channel import (
    SIDECAR_TLS_SECRET,
    SNAPSHOT_FILE,
    SNAPSHOT_MOUNT,
    STATE_MOUNT,
    TLS_MOUNT,
    snapshot_secret,
)
from cliproxy_operator.inject.options import Options
from cliproxy_operator.inject.shape import Json
from cliproxy_operator.inject.template import CONTAINER, Template

STATE_BYTES: Final = "32Mi"
"""Bound of the folder for the last good configuration; it is in memory, as it holds keys."""
TOKEN_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 -- a path
"""Something mounted here keeps the pod's service account token out of the container."""
LOG_MOUNT: Final = "/var/log/cliproxy"
"""Where a sidecar writes its log's copy in a file by default."""
TLS_VOLUME: Final = f"{CONTAINER}-tls"
SNAPSHOT_VOLUME: Final = f"{CONTAINER}-snapshot"
STATE_VOLUME: Final = f"{CONTAINER}-state"
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
        "volumeMounts": _mounts(options),
        # Listening is enough for the application to start; serving, before the pod gets traffic.
        "startupProbe": _probe("/health/live", options, periodSeconds=1, failureThreshold=60),
        "livenessProbe": _probe("/health/live", options, periodSeconds=10, failureThreshold=6),
        "readinessProbe": _probe("/health/ready", options, periodSeconds=5, failureThreshold=2),
        "securityContext": _security(template),
    }
    return made | {"restartPolicy": "Always"} if template.native else made


def volumes(options: Options) -> list[Json]:
    """Return the volumes that the container mounts.

    Secrets are optional: the first pod of a namespace starts before the operator has made them.
    """
    return [
        {"name": TLS_VOLUME, "secret": {"secretName": SIDECAR_TLS_SECRET, "optional": True}},
        {
            "name": SNAPSHOT_VOLUME,
            "secret": {"secretName": snapshot_secret(options.profile), "optional": True},
        },
        {"name": STATE_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": STATE_BYTES}},
        {"name": NO_TOKEN_VOLUME, "emptyDir": {}},
    ]


def _mounts(options: Options) -> list[Json]:
    mounts: list[Json] = [
        {"name": TLS_VOLUME, "mountPath": TLS_MOUNT, "readOnly": True},
        {"name": SNAPSHOT_VOLUME, "mountPath": SNAPSHOT_MOUNT, "readOnly": True},
        {"name": STATE_VOLUME, "mountPath": STATE_MOUNT},
        {"name": NO_TOKEN_VOLUME, "mountPath": TOKEN_PATH, "readOnly": True},
    ]
    if options.log_volume:
        mounts.append({"name": options.log_volume, "mountPath": LOG_MOUNT})
    return mounts


def _env(template: Template, options: Options) -> list[Json]:
    token = {"name": template.token_secret, "key": "token"}
    control = (
        {"name": "CLIPROXY_CONTROL_TOKEN", "valueFrom": {"secretKeyRef": token}}
        if template.token_secret
        else {"name": "CLIPROXY_TLS_DIR", "value": TLS_MOUNT}
    )
    return [
        _field("POD_NAME", "metadata.name"),
        _field("POD_NAMESPACE", "metadata.namespace"),
        _field("POD_IP", "status.podIP"),
        {"name": "CLIPROXY_PROXY_PORT", "value": str(options.proxy_port)},
        {"name": "CLIPROXY_CONTROL_PORT", "value": str(template.control_port)},
        {"name": "CLIPROXY_OBSERVE_PORT", "value": str(options.observe_port)},
        control,
        {"name": "CLIPROXY_SNAPSHOT_FILE", "value": f"{SNAPSHOT_MOUNT}/{SNAPSHOT_FILE}"},
        {"name": "CLIPROXY_STATE_DIR", "value": STATE_MOUNT},
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
