"""Start everything the demonstration needs, in order, and stop it without a trace.

etcd, kube-apiserver, scripted providers, the node agent and the operator are processes of their own, as they
are in life; the sidecars are the node agent's children. `world` is what is then there.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from cliproxy_api.vocabulary import API_GROUP, API_VERSION
from cliproxy_dev import crds, rbac
from cliproxy_dev.clock import now_s
from cliproxy_dev.controlplane.find import Unavailable, wants_existing_cluster
from cliproxy_dev.demo import layout
from cliproxy_dev.demo.layout import NAMESPACE, OPERATOR_NAMESPACE
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World
from cliproxy_dev.kube import ApiError
from cliproxy_dev.newest.plane import chosen
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess, ProcessFailed

FIELD_MANAGER: Final = "kubectl"
HTTP_OK: Final = 200
READY_S: Final = 60.0
NOT_YOURS: Final = (
    "USE_EXISTING_CLUSTER is set, but this always has a control plane of its own: its node agent would take "
    "every pod of your cluster that waits for a node.\nUnset it (KUBEBUILDER_ASSETS=DIR says where etcd and "
    'kube-apiserver are); to try it on your cluster, docs/start.md, "On any cluster".'
)
STOP_S: Final = 12.0
"""A sidecar drains for 10 s at most, and the node agent waits for its sidecars."""


@contextlib.asynccontextmanager
async def running_world(
    run_dir: Path, tell: Narrator, *, environment: Mapping[str, str] | None = None
) -> AsyncIterator[World]:
    """Start a world with its files below `run_dir` (which the caller removes); stop it at the end.

    `environment` is added to the operator's.

    Raises:
        ProcessFailed, Unavailable: something did not start; what had started is stopped.

    """
    if wants_existing_cluster(os.environ):
        raise Unavailable(NOT_YOURS)
    async with contextlib.AsyncExitStack() as stack:
        block = stack.enter_context(layout.own_block())
        tell.progress("starting etcd and kube-apiserver")
        plane = await stack.enter_async_context(chosen(run_dir, os.environ))
        tell.progress(f"kube-apiserver {plane.version} serves at {plane.server}")
        (port,) = free_ports(1)
        world = World(
            run_dir=run_dir,
            block=block,
            plane=plane,
            kube=await stack.enter_async_context(plane.api()),
            http=await stack.enter_async_context(aiohttp.ClientSession()),
            operator_url=f"http://127.0.0.1:{port}",
        )
        await _install(world)
        tell.progress("applied crds/, the operator's rights and examples/demo/")
        arguments = ["cliproxy_dev.providers", *layout.providers_arguments(block)]
        await _start(stack, world, "providers", arguments, lambda: _providers_listen(world))
        tell.progress("scripted providers listen; starting operator, node agent and its two pods")
        settings = {**_operator_environment(world, port), **(environment or {})}
        agent = ["cliproxy_dev.nodeagent", "--kubeconfig", str(plane.kubeconfig), "--run-dir", str(run_dir)]
        agent.append("--serve-logs")
        await _start(stack, world, "node-agent", agent, None)
        await _start(
            stack, world, "operator", ["cliproxy_operator"], lambda: _leads(world), environment=settings
        )
        await world.parts["node-agent"].wait_ready(world.pods_ready, within_s=READY_S, every_s=0.05)
        tell.progress("the operator leads, both sidecar pods are Ready")
        yield world
        tell.progress("stopping")


async def restart_operator(world: World) -> None:
    """Kill the operator with SIGKILL and start it again, as a kubelet would; returns when it leads."""
    operator = world.parts["operator"]
    await operator.kill()
    operator.start()
    await operator.wait_ready(lambda: _leads(world), within_s=READY_S, every_s=0.02)


@contextlib.asynccontextmanager
async def another_operator(
    world: World, name: str, *, environment: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[ManagedProcess, str]]:
    """Run one more replica, with default settings and `environment`, at its own URL; stopped in the end."""
    (port,) = free_ports(1)
    settings = {**_operator_environment(world, port), "POD_NAME": f"cliproxy-{name}", **(environment or {})}
    process = ManagedProcess(
        name,
        [sys.executable, "-m", "cliproxy_operator"],
        log_path=world.log_path(name),
        env={**os.environ, **settings},
    )
    process.start()
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        await process.stop()


async def _start(
    stack: contextlib.AsyncExitStack,
    world: World,
    name: str,
    arguments: list[str],
    ready: Callable[[], Awaitable[bool]] | None,
    *,
    environment: Mapping[str, str] | None = None,
) -> None:
    process = ManagedProcess(
        name,
        [sys.executable, "-m", *arguments],
        log_path=world.log_path(name),
        env={**os.environ, **(environment or {})},
    )
    world.parts[name] = process
    process.start()
    stack.push_async_callback(process.stop, grace_s=STOP_S)
    if ready is not None:
        await process.wait_ready(ready, within_s=READY_S, every_s=0.05)


def _operator_environment(world: World, port: int) -> dict[str, str]:
    return {
        "KUBECONFIG": str(world.plane.kubeconfig_of("operator")),
        "POD_NAME": "cliproxy-operator-0",
        "POD_NAMESPACE": OPERATOR_NAMESPACE,
        "CLIPROXY_HOST": "127.0.0.1",
        "CLIPROXY_PORT": str(port),
    }


async def _install(world: World) -> None:
    """Apply CRDs, rights and examples/demo."""
    for crd in crds.for_server(minor=world.plane.crd_minor):
        await _apply(world, crd)
    await _served(world)
    for name in (OPERATOR_NAMESPACE, NAMESPACE):
        await _apply(world, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for document in rbac.manifests(lease_namespace=OPERATOR_NAMESPACE):
        await _apply(world, document)
    for document in layout.documents(world.block, world.run_dir):
        await _apply(world, document)


async def _served(world: World) -> None:
    """Wait until the API server serves our kinds."""
    deadline_s = now_s() + READY_S
    for plural in ("llmproviders", "cooldownpolicies", "alertrules", "proxyprofiles"):
        while True:
            with contextlib.suppress(ApiError):
                await world.kube.get(f"/apis/{API_GROUP}/{API_VERSION}/{plural}")
                break
            if now_s() > deadline_s:
                raise ProcessFailed(f"kube-apiserver does not serve {plural} within {READY_S:g} s")
            await asyncio.sleep(0.05)


async def _apply(world: World, document: dict[str, Any]) -> None:
    await world.kube.apply(_path(document), document, manager=FIELD_MANAGER)


def _path(document: Mapping[str, Any]) -> str:
    """Return where the API server keeps an object; the kinds used here form their plurals regularly."""
    version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "s")
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{place}/{plural}/{metadata['name']}"


async def _providers_listen(world: World) -> bool:
    answers = [await _answers(world, world.control_url(name) + "/_script") for name in layout.SCRIPTED]
    return all(answers)


async def _leads(world: World) -> bool:
    return await _answers(world, f"{world.operator_url}/health/ready")


async def _answers(world: World, url: str) -> bool:
    try:
        async with world.http.get(url, timeout=aiohttp.ClientTimeout(total=2.0)) as response:
            return response.status == HTTP_OK
    except (OSError, aiohttp.ClientError, TimeoutError):
        return False
