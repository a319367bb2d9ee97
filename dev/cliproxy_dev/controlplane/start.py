"""Run one etcd and one kube-apiserver on loopback, and take them away again.

Finding the programs is left to `prepare`, their command lines to `settings`. With `USE_EXISTING_CLUSTER=1`
and `KUBECONFIG` nothing is started and the same attributes describe that cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from cliproxy_dev import kubeconfig
from cliproxy_dev.controlplane.find import Binaries, Unavailable, require, wants_existing_cluster
from cliproxy_dev.controlplane.settings import (
    DEFAULT_USERS,
    SERVICES,
    Layout,
    apiserver_command,
    etcd_command,
    write_inputs,
)
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess, ProcessFailed

ETCD_READY_S = 30.0
APISERVER_READY_S = 90.0  # 3 s when idle; a machine busy with other builds needs the rest
PORT_ATTEMPTS = 3  # another program may take a port between our asking and using it
APISERVER_GRACE_S = 3.0  # it would wait a minute for open watches


NEEDED_BYTES = 256 << 20
"""Etcd lays out 128 MB at its start; logs and the audit log come on top."""


class NotOurs(RuntimeError):
    """A fault was asked for in a cluster that this process did not start."""


class ControlPlane:
    """A running control plane: `async with ControlPlane(run_dir) as plane: ... plane.kubeconfig`.

    `server`, `token` (the admin's), `ca_file`, `kubeconfig` and `minor` hold from start to stop. Files live
    in `run_dir/controlplane` and `run_dir/kubeconfig` and are removed at the end unless `keep`.
    """

    def __init__(
        self,
        run_dir: Path,
        *,
        binaries: Binaries | None = None,
        env: Mapping[str, str] | None = None,
        users: Mapping[str, tuple[str, ...]] = DEFAULT_USERS,
        keep: bool = False,
        services: str = SERVICES,
    ) -> None:
        """`users` maps names to groups; `admin` must be among them. `services`: their addresses."""
        self.run_dir = run_dir
        self.layout = Layout(run_dir / "controlplane")
        self.kubeconfig = run_dir / "kubeconfig"
        self.ca_file = self.layout.ca_file
        self.server = ""
        self.version = ""
        self.minor = 0
        self.existing = False
        self._env = os.environ if env is None else env
        self._binaries = binaries
        self._users = users
        self._keep = keep
        self._services = services
        self._tokens: dict[str, str] = {}
        self._etcd: ManagedProcess | None = None
        self._etcd_port = 0
        self._apiserver: ManagedProcess | None = None
        self._made_run_dir = False

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start both and wait until requests are served. Raises `Unavailable` or `ProcessFailed`."""
        self._made_run_dir = not self.run_dir.exists()
        self.run_dir.mkdir(parents=True, exist_ok=True)
        try:
            if wants_existing_cluster(self._env):
                self._use_existing()
            else:
                await self._start_own()
            await self._learn_version()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop both, the API server first, and remove what was written. Safe to call again."""
        if self._apiserver is not None:
            await self._apiserver.stop(grace_s=APISERVER_GRACE_S)
        if self._etcd is not None:
            await self._etcd.stop()
        self._apiserver = self._etcd = None
        if not self._keep:
            await asyncio.to_thread(self._remove_files)

    def _remove_files(self) -> None:
        shutil.rmtree(self.layout.root, ignore_errors=True)
        if not self.existing:  # the user's own file stays
            self.kubeconfig.unlink(missing_ok=True)
        if self._made_run_dir:
            with contextlib.suppress(OSError):  # others may have put something there: then it stays
                self.run_dir.rmdir()

    @property
    def crd_minor(self) -> int:
        """The minor version of the server that keeps the CRDs: Kubernetes 1.`crd_minor`."""
        return self.minor

    # ------------------------------------------------------------------ who may log in

    @property
    def token(self) -> str:
        """The admin's bearer token; empty for an existing cluster that uses certificates."""
        return self._tokens.get("admin", "")

    def token_of(self, user: str) -> str:
        """Return the bearer token of a user named at the start."""
        if self.existing:
            raise NotOurs("an existing cluster's users are not ours to hand out")
        return self._tokens[user]

    def endpoint_of(self, user: str = "admin") -> kubeconfig.Endpoint:
        """Return server, CA and credentials for `user`, as `KubeApi` takes them."""
        if self.existing:
            return kubeconfig.read(self.kubeconfig)
        return kubeconfig.Endpoint(
            server=self.server, token=self.token_of(user), ca_pem=self.ca_file.read_text("ascii")
        )

    def kubeconfig_of(self, user: str) -> Path:
        """Write (again) and return a kubeconfig for `user`."""
        path = self.kubeconfig if user == "admin" else self.layout.root / f"kubeconfig-{user}"
        if not self.existing:
            kubeconfig.write(path, self.endpoint_of(user), user=user)
        return path

    def api(self, user: str = "admin") -> KubeApi:
        """Open a session as `user`; the caller closes it."""
        return KubeApi(self.endpoint_of(user))

    # ------------------------------------------------------------------ faults and evidence

    async def stop_apiserver(self, *, kill: bool = False) -> None:
        """Take the API server away (`kill`: without notice); etcd keeps the data."""
        server = self._own_apiserver()
        await (server.kill() if kill else server.stop(grace_s=APISERVER_GRACE_S))

    async def start_apiserver(self) -> None:
        """Bring the API server back, same address, same certificate, and wait until it serves."""
        server = self._own_apiserver()
        server.start()
        await self._wait_serving(server)

    async def restart_apiserver(self, *, kill: bool = False) -> None:
        """Stop and start the API server."""
        await self.stop_apiserver(kill=kill)
        await self.start_apiserver()

    def writes(self, *, user: str | None = None) -> list[dict[str, Any]]:
        """Return the audit entries of all writes so far, oldest first, of one `user` or of everybody.

        Blocking and local; an entry stands there before its request was answered.
        """
        self._own_apiserver()
        try:
            lines = self.layout.audit_log.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if user is None or entry["user"]["username"] == user]

    def processes(self) -> list[ManagedProcess]:
        """Return the processes that run for it; none for an existing cluster."""
        return [process for process in (self._etcd, self._apiserver) if process is not None]

    def own(self) -> tuple[Binaries, ManagedProcess, int]:
        """Return the programs, and etcd with its port, for `outage`. Raises `NotOurs`."""
        if self._etcd is None or self._binaries is None:
            raise NotOurs("this process runs no etcd of its own")
        return self._binaries, self._etcd, self._etcd_port

    async def wait_for_etcd(self) -> None:
        """Wait until etcd serves."""
        _, etcd, port = self.own()
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{port}/health"
            await etcd.wait_ready(lambda: _healthy(session, url), within_s=ETCD_READY_S)

    def signal_apiserver(self, number: signal.Signals) -> None:
        """Send the API server a signal, such as SIGSTOP and SIGCONT."""
        self._own_apiserver().send(number)

    def _own_apiserver(self) -> ManagedProcess:
        if self._apiserver is None:
            raise NotOurs("this process runs no API server of its own")
        return self._apiserver

    # ------------------------------------------------------------------ starting

    def _use_existing(self) -> None:
        source = Path(self._env["KUBECONFIG"]).expanduser()
        endpoint = kubeconfig.read(source)
        self.existing = True
        self.server = endpoint.server
        self._tokens = {"admin": endpoint.token}
        self.layout.root.mkdir(parents=True, exist_ok=True)
        self.ca_file = self.layout.root / "ca.crt"
        self.ca_file.write_text(endpoint.ca_pem, "utf-8")
        self.kubeconfig = source

    async def _start_own(self) -> None:
        if self._binaries is None:
            self._binaries = require(self._env)
        # A run that was killed may have left its data, which etcd never flushed: begin anew.
        await asyncio.to_thread(shutil.rmtree, self.layout.root, ignore_errors=True)
        check_room(self.run_dir)
        self._tokens = write_inputs(self.layout, self._users)
        for attempt in range(1, PORT_ATTEMPTS + 1):
            try:
                await self._start_pair(self._binaries)
                break
            except ProcessFailed as error:
                if "address already in use" not in str(error) or attempt == PORT_ATTEMPTS:
                    raise
                await self._stop_pair()
        self.kubeconfig_of("admin")

    async def _start_pair(self, binaries: Binaries) -> None:
        client_port, peer_port, port = free_ports(3)
        self._etcd_port = client_port
        etcd_line = etcd_command(binaries, self.layout, client_port=client_port, peer_port=peer_port)
        self._etcd = ManagedProcess("etcd", etcd_line, log_path=self.layout.log("etcd"))
        server_line = apiserver_command(
            binaries, self.layout, etcd_port=client_port, port=port, services=self._services
        )
        self._apiserver = ManagedProcess(
            "kube-apiserver", server_line, log_path=self.layout.log("kube-apiserver")
        )
        self.server = f"https://127.0.0.1:{port}"
        self._etcd.start()
        await self.wait_for_etcd()
        self._apiserver.start()
        await self._wait_serving(self._apiserver)

    async def _stop_pair(self) -> None:
        for process in (self._apiserver, self._etcd):
            if process is not None:
                await process.kill()
        await asyncio.to_thread(shutil.rmtree, self.layout.etcd_data, ignore_errors=True)

    async def _wait_serving(self, server: ManagedProcess) -> None:
        await server.wait_ready(self._serves, within_s=APISERVER_READY_S, every_s=0.05)

    async def _serves(self) -> bool:
        """Say whether the server calls itself ready and has made the namespace everything else needs."""
        try:
            async with self.api() as api:
                await api.get("/readyz")
                await api.get("/api/v1/namespaces/default")
        except (OSError, aiohttp.ClientError, ApiError, TimeoutError):
            return False
        return True

    async def _learn_version(self) -> None:
        try:
            async with self.api() as api:
                version = await api.get("/version")
        except (OSError, aiohttp.ClientError, ApiError, TimeoutError) as error:
            raise Unavailable(f"the API server at {self.server} cannot be used: {error}") from error
        self.version = str(version["gitVersion"])
        self.minor = int(str(version["minor"]).rstrip("+"))


def check_room(run_dir: Path, *, needed_bytes: int = NEEDED_BYTES) -> None:
    """Raise `Unavailable` when etcd would find the disk full: all it has to say of that is a Go panic."""
    if (free := shutil.disk_usage(run_dir).free) < needed_bytes:
        raise Unavailable(
            f"{run_dir} has {free >> 20} MB free, {needed_bytes >> 20} are needed; "
            "TMPDIR=DIR names another disk."
        )


async def _healthy(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=2.0)) as response:
            return response.status == 200  # noqa: PLR2004 -- HTTP's OK
    except (OSError, aiohttp.ClientError, TimeoutError):
        return False
