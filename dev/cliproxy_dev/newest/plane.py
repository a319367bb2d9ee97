"""A control plane whose custom resources are served by the newest Kubernetes.

The same attributes as `ControlPlane`; `crd_minor` is the newest server's. Users, rights, namespaces and all
that is no custom resource are the older server's. Obtaining the program is left to `build`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp

from cliproxy_dev import kubeconfig
from cliproxy_dev.controlplane.find import Unavailable
from cliproxy_dev.controlplane.settings import Layout
from cliproxy_dev.controlplane.start import APISERVER_GRACE_S, APISERVER_READY_S, ControlPlane
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.newest.build import program
from cliproxy_dev.newest.front import Front
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess

CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CHOICE: Final = "CLIPROXY_PLANE"
"""Variable that chooses the control plane of `make run` and of the cluster tests."""
NEWEST: Final = "newest"
"""Its value for this one; `newest@1.33` lets the server behave as that version. Empty: the machine's own."""


def chosen(run_dir: Path, env: Mapping[str, str]) -> ControlPlane:
    """Return the control plane that the variable asks for, not started. Raises `Unavailable`."""
    kind, _, emulated = env.get(CHOICE, "").partition("@")
    if not kind:
        return ControlPlane(run_dir)
    if kind != NEWEST or (emulated and not re.fullmatch(r"1\.\d+", emulated)):
        raise Unavailable(f"{CHOICE} must be empty, {NEWEST} or {NEWEST}@1.N, not {env[CHOICE]}.")
    if not os.access(program(env), os.X_OK):
        raise Unavailable(
            f"{CHOICE} is {env[CHOICE]}, but that server is not here yet. Obtain it once:\n"
            "  python -m cliproxy_dev.newest prepare"
        )
    return NewestPlane(run_dir, program(env), emulated=emulated)


class NewestPlane(ControlPlane):
    """Etcd, the machine's kube-apiserver, the newest server for CRDs, and one address for both."""

    def __init__(self, run_dir: Path, executable: Path, *, emulated: str = "") -> None:
        """`emulated` is an older version that the newest server is to behave as, such as 1.33."""
        super().__init__(run_dir)
        self._executable = executable
        self._emulated = emulated
        self._newest: ManagedProcess | None = None
        self._front: Front | None = None
        self._newest_minor = 0
        self._newest_version = ""

    async def start(self) -> None:
        """Start everything. Raises `Unavailable` or `ProcessFailed`."""
        await super().start()
        try:
            await self._start_newest()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything, the outermost first. Safe to call again."""
        if self._front is not None:
            await self._front.stop()
        if self._newest is not None:
            await self._newest.stop(grace_s=APISERVER_GRACE_S)
        self._front = self._newest = None
        await super().stop()

    @property
    def crd_minor(self) -> int:
        """The minor version of the server that keeps the CRDs."""
        return self._newest_minor

    def processes(self) -> list[ManagedProcess]:
        """Return the processes that run for it."""
        return [*super().processes(), *([self._newest] if self._newest is not None else [])]

    async def _start_newest(self) -> None:
        [port] = free_ports(1)
        core, newest = self.server, f"https://127.0.0.1:{port}"
        # Its way to the other server must not go through the front, which `self.server` will name.
        to_core = self.layout.root / "newest.kubeconfig"
        kubeconfig.write(to_core, self.endpoint_of())
        command = newest_command(
            self._executable,
            self.layout,
            to_core=to_core,
            etcd_port=self.own()[2],
            port=port,
            emulated=self._emulated,
        )
        self._newest = ManagedProcess("newest", command, log_path=self.layout.log("newest"))
        self._newest.start()
        endpoint = replace(self.endpoint_of(), server=newest)
        await self._newest.wait_ready(partial(self._ready, endpoint), within_s=APISERVER_READY_S, every_s=0.1)
        self._front = Front(core=core, newest=newest, trusted=endpoint.ssl_context())
        self.server = await self._front.start(
            certificate=self.ca_file, key=self.ca_file.with_name("apiserver.key")
        )
        self.kubeconfig_of("admin")
        emulating = f" as {self._emulated}" if self._emulated else ""
        self.version += f", custom resources {self._newest_version}{emulating}"

    async def _ready(self, endpoint: kubeconfig.Endpoint) -> bool:
        """Say whether the newest server is ready and its CRDs can be listed; learn its version."""
        try:
            async with KubeApi(endpoint) as api:
                await api.get("/readyz")
                await api.get(CRDS)
                version = await api.get("/version")
        except (OSError, aiohttp.ClientError, ApiError, TimeoutError):
            return False
        self._newest_version = str(version["gitVersion"])
        self._newest_minor = int(version.get("emulationMinor") or str(version["minor"]).rstrip("+"))
        return True


def newest_command(
    executable: Path, layout: Layout, *, to_core: Path, etcd_port: int, port: int, emulated: str = ""
) -> list[str]:
    """Return the command line of the newest server, which asks the other one who and whether they may."""
    return [
        str(executable),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={layout.ca_file}",
        f"--tls-private-key-file={layout.ca_file.with_name('apiserver.key')}",
        f"--kubeconfig={to_core}",
        f"--authentication-kubeconfig={to_core}",
        f"--authorization-kubeconfig={to_core}",
        # Tests change rights and expect them to hold at once.
        "--authorization-webhook-cache-authorized-ttl=1s",
        "--authorization-webhook-cache-unauthorized-ttl=1s",
        # These read kinds that an old server does not have, and every write would wait for them.
        "--disable-admission-plugins=ValidatingAdmissionPolicy,MutatingAdmissionPolicy",
        "--enable-priority-and-fairness=false",
        "--profiling=false",
        *([f"--emulated-version={emulated}"] if emulated else []),
    ]
