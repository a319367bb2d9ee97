"""The control plane of a run: a real etcd and kube-apiserver, the objects, and operator processes."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp

from cliproxy_api.version import __version__
from cliproxy_dev import crds, rbac
from cliproxy_dev.clock import now_s
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess, ProcessFailed
from fleet import objects
from fleet.channel import Channel
from fleet.crowd import PORT

FIELD_MANAGER: Final = "kubectl"
READY_S: Final = 90.0
HTTP_OK: Final = 200
_PARALLEL: Final = 16
_METRIC: Final = re.compile(r"^(\w+)(?:\{(.*)\})? ([-+.\de]+)$")
VERSION: Final = __version__


class Replica:
    """One operator process."""

    def __init__(self, plane: ControlPlane, name: str, folder: Path, channel: Channel, http: Any) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._http: aiohttp.ClientSession = http
        environment = {
            "KUBECONFIG": str(plane.kubeconfig_of("operator")),
            "POD_NAME": name,
            "POD_NAMESPACE": objects.OPERATOR_NAMESPACE,
            "CLIPROXY_HOST": "127.0.0.1",
            "CLIPROXY_PORT": str(port),
            "CLIPROXY_CONTROL_PORT": str(PORT),
            **channel.of_operator,
        }
        self.process = ManagedProcess(
            name,
            [sys.executable, "-m", "cliproxy_operator"],
            log_path=folder / f"{name}.log",
            env=os.environ | environment,
        )

    async def ready(self) -> None:
        """Wait until it is ready, leading or standing by."""
        await self.process.wait_ready(self._is_ready, within_s=READY_S)

    async def standing(self) -> str:
        """Return what it is; "" if it does not answer."""
        try:
            async with self._http.get(f"{self.url}/health/ready") as answer:
                return str((await answer.json()).get("standing", "")) if answer.status == HTTP_OK else ""
        except (OSError, aiohttp.ClientError, TimeoutError):
            return ""

    async def metrics(self) -> list[tuple[str, dict[str, str], float]]:
        """Return its metrics: name, labels, value."""
        async with self._http.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        found = (match for line in lines if (match := _METRIC.match(line)))
        return [
            (match[1], dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")), float(match[3]))
            for match in found
        ]

    async def writes(self) -> dict[str, float]:
        """Return how many writes the API server has accepted from it, by kind and verb."""
        return {
            f"{labels['kind']} {labels['verb']}": value
            for name, labels, value in await self.metrics()
            if name == "cliproxy_operator_api_writes_total"
        }

    async def epoch(self) -> int:
        """Return the epoch that it pushes under."""
        return round(
            next((value for name, _, value in await self.metrics() if name == "cliproxy_operator_epoch"), 0)
        )

    async def _is_ready(self) -> bool:
        return bool(await self.standing())


class Cluster:
    """A control plane with our objects in it, and the operators."""

    def __init__(self, plane: ControlPlane, api: KubeApi, http: aiohttp.ClientSession, folder: Path) -> None:
        self.plane, self.api = plane, api
        self._http, self._folder = http, folder
        self.replicas: list[Replica] = []
        self.origin = ""
        """Where all providers are: something there answers every probe."""

    async def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """Apply one object as kubectl would."""
        return await self.api.apply(objects.path(document), document, manager=FIELD_MANAGER)

    async def install(self, providers: int) -> None:
        """Apply CRDs, the operator's rights, and the objects."""
        for document in crds.for_server(minor=self.plane.minor):
            await self.apply(document)
        await self._served()
        for name in (objects.OPERATOR_NAMESPACE, objects.NAMESPACE):
            await self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for document in rbac.manifests(lease_namespace=objects.OPERATOR_NAMESPACE):
            await self.apply(document)
        gate = asyncio.Semaphore(_PARALLEL)

        async def one(document: dict[str, Any]) -> None:
            async with gate:
                await self.apply(document)

        everything = [*objects.secrets(providers), *objects.policies()]
        everything += [objects.provider(number, self.origin) for number in range(providers)]
        await asyncio.gather(*(one(document) for document in everything))

    async def start(self, channel: Channel) -> Replica:
        """Start one more operator; returns when it is ready."""
        name = f"operator-{len(self.replicas)}"
        replica = Replica(self.plane, name, self._folder, channel, self._http)
        self.replicas.append(replica)
        replica.process.start()
        await replica.ready()
        return replica

    async def leader(self) -> Replica:
        """Return the replica that leads, as soon as one does."""
        end_s = now_s() + READY_S
        while now_s() < end_s:
            for replica in self.replicas:
                if replica.process.pid is not None and await replica.standing() == "leading":
                    return replica
            await asyncio.sleep(0.05)
        raise ProcessFailed(f"no operator leads within {READY_S:g} s")

    async def keep_one(self) -> None:
        """Stop all but the leader."""
        leader = await self.leader()
        for replica in self.replicas:
            if replica is not leader:
                await replica.process.stop()
        self.replicas = [leader]

    async def stop(self) -> None:
        """Stop all operators."""
        await asyncio.gather(*(replica.process.stop() for replica in self.replicas))

    async def _served(self) -> None:
        end_s = now_s() + READY_S
        for plural in ("llmproviders", "cooldownpolicies", "alertrules", "proxyprofiles"):
            while True:
                with contextlib.suppress(ApiError):
                    await self.api.get(f"{objects.GROUP}/{plural}")
                    break
                if now_s() > end_s:
                    raise ProcessFailed(f"kube-apiserver does not serve {plural} within {READY_S:g} s")
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Start a control plane with its files below `folder`; stop it, and all operators, at the end."""
    async with (
        ControlPlane(folder / "plane") as plane,
        plane.api() as api,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http,
    ):
        cluster = Cluster(plane, api, http, folder / "logs")
        provider = await asyncio.start_server(_answer, "127.0.0.1")
        cluster.origin = f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}"
        try:
            yield cluster
        finally:
            await cluster.stop()
            provider.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request with 200: the real sidecars probe, and nothing here shall be unhealthy."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while (await reader.readuntil(b"\r\n\r\n")) and not reader.at_eof():
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    writer.close()
