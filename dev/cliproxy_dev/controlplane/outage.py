"""What can befall a control plane's data: time passing without one API server, and a restored backup.

Works on a `ControlPlane` that this process started; taking the API server away is its own method.
"""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp

from cliproxy_dev.controlplane.settings import Layout, apiserver_command
from cliproxy_dev.controlplane.start import APISERVER_READY_S, ControlPlane
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess


@asynccontextmanager
async def another_apiserver(plane: ControlPlane) -> AsyncIterator[KubeApi]:
    """Run one more kube-apiserver on the same etcd, known to nobody else; the value talks to it as admin."""
    binaries, _, etcd_port = plane.own()
    (port,) = free_ports(1)
    command = apiserver_command(binaries, _Aside(plane.layout.root), etcd_port=etcd_port, port=port)
    process = ManagedProcess("kube-apiserver-2", command, log_path=plane.layout.log("kube-apiserver-2"))
    endpoint = replace(plane.endpoint_of(), server=f"https://127.0.0.1:{port}")
    process.start()
    try:
        async with KubeApi(endpoint) as api:

            async def serves() -> bool:
                try:
                    await api.get("/readyz")
                except (OSError, aiohttp.ClientError, ApiError, TimeoutError):
                    return False
                return True

            await process.wait_ready(serves, within_s=APISERVER_READY_S, every_s=0.1)
            yield api
    finally:
        await process.stop(grace_s=1.0)


class _Aside(Layout):
    """The same files, but for an audit log of its own."""

    @property
    def audit_log(self) -> Path:
        """One JSON object per write through the second server."""
        return self.root / "audit-2.log"


async def compact(plane: ControlPlane) -> None:
    """Let etcd forget all but the present: who resumes a watch from before is answered 410.

    Source: etcd 3.4 API, `/v3/kv/range` and `/v3/kv/compaction` of the JSON gateway.
    """
    _, _, port = plane.own()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        async with session.post("/v3/kv/range", json={"key": "AA=="}) as answer:
            answer.raise_for_status()
            revision = (await answer.json())["header"]["revision"]
        async with session.post("/v3/kv/compaction", json={"revision": revision, "physical": True}) as answer:
            answer.raise_for_status()


async def back_up(plane: ControlPlane, folder: Path) -> None:
    """Copy etcd's data as it is at one instant into a new folder: etcd is paused meanwhile."""
    _, etcd, _ = plane.own()
    etcd.send(signal.SIGSTOP)
    try:
        await asyncio.to_thread(shutil.copytree, plane.layout.etcd_data, folder)
    finally:
        etcd.send(signal.SIGCONT)


async def restore(plane: ControlPlane, folder: Path) -> None:
    """Put a backup back: the API server goes, etcd begins from the copy, the API server returns."""
    _, etcd, _ = plane.own()
    await plane.stop_apiserver(kill=True)
    await etcd.kill()
    await asyncio.to_thread(_exchange, folder, plane.layout.etcd_data)
    etcd.start()
    await plane.wait_for_etcd()
    await plane.start_apiserver()


def _exchange(source: Path, place: Path) -> None:
    shutil.rmtree(place)
    shutil.copytree(source, place)
