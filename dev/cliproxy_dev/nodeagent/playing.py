"""What a real container is given besides its own words: mounts, its account's token, the names of Services.

In a cluster an admission plugin mounts the token and DNS with kube-proxy finds Services; here a Service's
name is the address of a pod that it selects, so its ports must be the pod's. How it is run is left to the
player.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from cliproxy_dev import kubeconfig
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.kubeconfig import Endpoint
from cliproxy_dev.nodeagent.environment import Unresolvable, command_line
from cliproxy_dev.nodeagent.images import Mount, Player, Run
from cliproxy_dev.nodeagent.volumes import hand_over

TOKEN_PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 -- a path


def write_run(player: Player, run: Run, file: Path) -> list[str]:
    """Return the command line that plays the container; the file holds its variables, so it is ours only."""
    file.touch(mode=0o600)
    file.write_text(json.dumps(dataclasses.asdict(run)), "utf-8")
    return [*player.words, str(file)]


def describe(
    spec: Json, *, name: str, env: Mapping[str, str], mounts: tuple[Mount, ...], hosts: Mapping[str, str]
) -> Run:
    """Return what the container is to be given."""
    command = command_line({"command": spec.get("command")}, (), env)
    arguments = command_line({"args": spec.get("args")}, (), env)
    return Run(name, tuple(command), tuple(arguments), dict(env), mounts, dict(hosts))


def mounts(spec: Json, places: Mapping[str, Path], volumes: Mapping[str, Json]) -> tuple[Mount, ...]:
    """Return the container's own mounts; a Secret can never be written to."""
    return tuple(
        Mount(
            source=str(places[one["name"]]),
            target=str(one["mountPath"]),
            read_only=bool(one.get("readOnly")) or "secret" in volumes[one["name"]],
        )
        for one in spec.get("volumeMounts") or []
    )


def wants_token(pod: Json) -> bool:
    """Say whether the pod names an account whose token it does not refuse."""
    return bool(pod["spec"].get("serviceAccountName")) and pod["spec"].get(
        "automountServiceAccountToken", True
    )


async def account(
    api: KubeApi, endpoint: Endpoint, pod: Json, place: Path, *, owner: int | None
) -> tuple[Mount, dict[str, str]]:
    """Lay out the token of the pod's account; returns its mount and where the API server is.

    Raises:
        Unresolvable: there is no such account, or the API server is away.

    """
    namespace, name = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
    try:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token: str = (await api.create(path, {"spec": {}}))["status"]["token"]
    except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unresolvable(f"serviceaccount {name}: {error}") from error
    _write(place, {"token": token, "namespace": namespace, "ca.crt": endpoint.ca_pem}, owner)
    server = urllib.parse.urlsplit(endpoint.server)
    where = {"KUBERNETES_SERVICE_HOST": server.hostname or "", "KUBERNETES_SERVICE_PORT": str(server.port)}
    return Mount(str(place), TOKEN_PLACE, read_only=True), where


def account_kubeconfig(endpoint: Endpoint, place: Path) -> Path:
    """Write a kubeconfig beside the token that `account` laid out, for a process, which has no mounts."""
    token = (place / "token").read_text("utf-8")
    config = place / "kubeconfig"
    kubeconfig.write(config, Endpoint(server=endpoint.server, token=token, ca_pem=endpoint.ca_pem))
    return config


def _write(place: Path, files: Mapping[str, str], owner: int | None) -> None:
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in files.items():
        (place / name).write_text(content, "utf-8")
        hand_over(place / name, owner)
    hand_over(place, owner)


async def service_names(api: KubeApi, namespace: str) -> dict[str, str]:
    """Return a ready pod's address for each name of each Service here. Raises `Unresolvable`."""
    base = f"/api/v1/namespaces/{namespace}"
    try:
        services, pods = await asyncio.gather(api.get(f"{base}/services"), api.get(f"{base}/pods"))
    except (ApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Unresolvable(f"the names of Services: {error}") from error
    found = {}
    for service in services["items"]:
        name, selector = service["metadata"]["name"], service["spec"].get("selector") or {}
        for pod in pods["items"]:
            if (
                selector
                and _is_ready(pod)
                and selector.items() <= (pod["metadata"].get("labels") or {}).items()
            ):
                address = pod["status"]["podIP"]
                for word in (name, f"{name}.{namespace}", f"{name}.{namespace}.svc"):
                    found[word] = address
                break
    return found


def _is_ready(pod: Json) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
