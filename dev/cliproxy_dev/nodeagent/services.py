"""Plays kube-proxy: who connects to a Service's cluster address reaches a ready pod of it.

Needs an API server whose cluster addresses are loopback ones; there it listens at each and passes bytes on.
Which addresses those are is `controlplane`'s; names of Services are left to real clusters' DNS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Final, Self

from cliproxy_dev.kube import Json, KubeApi
from cliproxy_dev.kubeconfig import Endpoint
from cliproxy_dev.nodeagent.deployments import is_ready
from cliproxy_dev.tasks import Tasks
from cliproxy_dev.watching import mirror

log = logging.getLogger(__name__)

SERVICES: Final = "/api/v1/services"
PODS: Final = "/api/v1/pods"
CHUNK_BYTES: Final = 64 * 1024
Place = tuple[str, int]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def places(services: Iterable[Json]) -> dict[Place, tuple[Json, Json]]:
    """Return where to listen, with each place's Service and port. Pure."""
    found = {}
    for service in services:
        spec = service["spec"]
        address = spec.get("clusterIP", "")
        if spec.get("selector") and address not in {"", "None"} and ipaddress.ip_address(address).is_loopback:
            for port in spec.get("ports") or []:
                found[address, int(port["port"])] = (service, port)
    return found


def targets(service: Json, port: Json, pods: Iterable[Json]) -> list[Place]:
    """Return the ready pods of a Service, and at which port each is to be reached. Pure."""
    selector = service["spec"]["selector"].items()
    namespace = service["metadata"]["namespace"]
    found = []
    for pod in pods:
        meta = pod["metadata"]
        ours = meta["namespace"] == namespace and selector <= (meta.get("labels") or {}).items()
        if ours and is_ready(pod) and not meta.get("deletionTimestamp"):
            found.append((pod["status"]["podIP"], _port(pod, port.get("targetPort") or port["port"])))
    return found


def _port(pod: Json, wanted: int | str) -> int:
    for container in pod["spec"]["containers"]:
        for entry in container.get("ports") or []:
            if entry.get("name") == wanted:
                return int(entry["containerPort"])
    return int(wanted)


class Services:
    """Runs while entered; looks at all namespaces."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._services: dict[str, Json] = {}
        self._pods: dict[str, Json] = {}
        self._listening: dict[Place, asyncio.Server] = {}
        self._turn = 0
        self._tasks = Tasks()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        api = await self._stack.enter_async_context(KubeApi(self._endpoint))
        self._tasks.spawn(self._follow(api, SERVICES, self._services), "services")
        self._tasks.spawn(self._follow(api, PODS, self._pods), "pods of services")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._tasks.stop()
        for server in self._listening.values():
            server.close()
        await self._stack.aclose()

    async def _follow(self, api: KubeApi, path: str, known: dict[str, Json]) -> None:
        async with contextlib.aclosing(mirror(api, path, known)) as changes:
            async for _ in changes:
                if path == SERVICES:
                    await self._listen()

    async def _listen(self) -> None:
        """Listen where Services are, and nowhere else."""
        wanted = places(self._services.values())
        for place in self._listening.keys() - wanted.keys():
            self._listening.pop(place).close()
        for place in wanted.keys() - self._listening.keys():
            try:
                self._listening[place] = await asyncio.start_server(self._serve_at(place), *place)
            except OSError as error:
                log.warning("service at %s:%d cannot be served: %s", *place, error)

    def _serve_at(self, place: Place) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._tasks.spawn(self._pass_on(place, reader, writer), f"connection to service {place}")

        return serve

    async def _pass_on(
        self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Connect a caller with the next pod in turn; without one the connection is closed."""
        try:
            found = places(self._services.values()).get(place)
            ready = targets(*found, self._pods.values()) if found else []
            if not ready:
                return
            self._turn += 1
            there_reader, there_writer = await asyncio.open_connection(*ready[self._turn % len(ready)])
            try:
                await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
            finally:
                there_writer.close()
        except OSError as error:
            log.info("service at %s:%d: %r", *place, error)
        finally:
            writer.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass bytes on until one side ends; the other then hears of it."""
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(CHUNK_BYTES):
            target.write(chunk)
            await target.drain()
    with contextlib.suppress(OSError):
        if target.can_write_eof():
            target.write_eof()
