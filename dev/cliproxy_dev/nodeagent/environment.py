"""The environment and command line of a container, as kubelet would compute them. Pure.

Understands literal values, secretKeyRef, fieldRef and $(VAR) references; refuses the rest by name, so that a
pod that needs more says so in its status. Reading Secrets is left to `pod`.
Source: kubernetes.io, "Expose Pod Information to Containers Through Environment Variables".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cliproxy_dev.kube import Json

REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")
MAP_FIELD = re.compile(r"^metadata\.(annotations|labels)\['(.+)'\]$")


class Unresolvable(Exception):
    """The container cannot be started as its pod says; the message is what the pod's status will say."""


def secrets_needed(container: Json) -> set[str]:
    """Return the names of the Secrets that a container's variables come from."""
    sources = [variable.get("valueFrom", {}) for variable in container.get("env") or []]
    return {source["secretKeyRef"]["name"] for source in sources if "secretKeyRef" in source}


def resolve(
    pod: Json,
    container: Json,
    *,
    pod_ip: str,
    secrets: Mapping[str, Json | None],
    volumes: Mapping[str, Path],
) -> dict[str, str]:
    """Return the container's variables in order. Raises `Unresolvable`.

    `secrets` holds every Secret of `secrets_needed`, None where it does not exist; `volumes` says where
    the pod's volumes are on this machine. A process has no mounts of its own, so a variable that names a
    place below one gets the place on this machine.
    """
    if container.get("envFrom"):
        raise Unresolvable("the local node agent does not know envFrom; name the variables under env")
    mounts = {
        str(mount["mountPath"]): volumes[mount["name"]]
        for mount in container.get("volumeMounts") or []
        if mount["name"] in volumes
    }
    resolved = {f"CLIPROXY_VOLUME_{_shouted(name)}": str(path) for name, path in volumes.items()}
    for variable in container.get("env") or []:
        name, source = variable["name"], variable.get("valueFrom")
        if source is None:
            resolved[name] = _on_this_machine(expand(variable.get("value", ""), resolved), mounts)
        elif "secretKeyRef" in source:
            value = _from_secret(pod["metadata"]["namespace"], source["secretKeyRef"], secrets)
            if value is not None:
                resolved[name] = value
        elif "fieldRef" in source:
            resolved[name] = _field(pod, source["fieldRef"]["fieldPath"], pod_ip)
        else:
            raise Unresolvable(f"the local node agent does not know {next(iter(source))} (variable {name})")
    return resolved


def command_line(container: Json, entry_point: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Return the image's entry point, or the container's own command, with the container's arguments."""
    words = [*(container.get("command") or entry_point), *(container.get("args") or [])]
    return [expand(word, env) for word in words]


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace $(NAME) by its value; an unknown name stays as it is, and $$ is a plain dollar sign."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else env.get(found[1], found[0])

    return REFERENCE.sub(value, text)


def translate(text: str, known: Mapping[str, str]) -> str:
    """Replace what only a container knows, such as a Service's name, by what this machine has for it."""
    for word in sorted(known, key=len, reverse=True):
        text = text.replace(word, known[word])
    return text


def _on_this_machine(value: str, mounts: Mapping[str, Path]) -> str:
    """Return the real place of a path below a mount; any other value as it is."""
    for mount, place in mounts.items():
        if value == mount or value.startswith(mount.rstrip("/") + "/"):
            return str(place) + value[len(mount.rstrip("/")) :]
    return value


def _shouted(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _from_secret(namespace: str, reference: Json, secrets: Mapping[str, Json | None]) -> str | None:
    """Return the value; None when it is absent and the reference is optional."""
    secret = secrets.get(reference["name"])
    data = (secret or {}).get("data") or {}
    if reference["key"] in data:
        return base64.b64decode(data[reference["key"]]).decode("utf-8", "replace")
    if reference.get("optional"):
        return None
    if secret is None:
        raise Unresolvable(f'secret "{reference["name"]}" not found')
    raise Unresolvable(f"couldn't find key {reference['key']} in Secret {namespace}/{reference['name']}")


def _field(pod: Json, path: str, pod_ip: str) -> str:
    metadata = pod["metadata"]
    if found := MAP_FIELD.match(path):
        return str((metadata.get(found[1]) or {}).get(found[2], ""))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.podIP": pod_ip,
        "status.hostIP": "127.0.0.1",
    }
    if path not in known:
        raise Unresolvable(f"the local node agent does not know the field {path}")
    return str(known[path])
