"""Help for tests on the real API server: a session's control plane, namespaces, CRDs, kubectl.

The fixtures around these stand in `tests/cluster/conftest.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cliproxy_dev.clock import now_s
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, Json, KubeApi

T = TypeVar("T")

CALL_S = 120.0
KUBECTL = Path(sys.executable).with_name("kubectl")
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NOT_FOUND, CONFLICT = 404, 409
# What tests put into namespaces: there is no controller beside the API server that would remove it.
COLLECTIONS = (
    ("/api/v1", "pods"),
    ("/api/v1", "secrets"),
    ("/api/v1", "configmaps"),
    ("/api/v1", "serviceaccounts"),
    ("/api/v1", "events"),
    ("/apis/coordination.k8s.io/v1", "leases"),
    ("/apis/rbac.authorization.k8s.io/v1", "roles"),
    ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    ("/apis/cliproxy.io/v1alpha1", "llmproviders"),
    ("/apis/cliproxy.io/v1alpha1", "cooldownpolicies"),
    ("/apis/cliproxy.io/v1alpha1", "alertrules"),
    ("/apis/cliproxy.io/v1alpha1", "proxyprofiles"),
)


class LoopThread:
    """An event loop in a thread of its own, for fixtures that outlive any test's loop.

    Processes started here die when the thread ends, so it must outlive them.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fixtures", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def kubectl(plane: ControlPlane, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the venv's kubectl as admin; the answer holds exit code, stdout and stderr."""
    home = str(plane.layout.root)  # its discovery cache must not survive the server
    return subprocess.run(  # noqa: S603 -- the program is ours, the words are the test's
        [str(KUBECTL), "--kubeconfig", str(plane.kubeconfig), *args],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"HOME": home},
    )


async def eventually(
    look: Callable[[], Awaitable[T]], *, within_s: float = 10.0, what: str = "", every_s: float = 0.02
) -> T:
    """Call `look` until it returns something true, and return that; fails after `within_s`."""
    deadline_s = now_s() + within_s
    while not (seen := await look()):
        assert now_s() < deadline_s, f"not seen within {within_s:g} s: {what or look}; last seen: {seen!r}"
        await asyncio.sleep(every_s)
    return seen


async def create_namespace(plane: ControlPlane, prefix: str = "test") -> str:
    """Create a namespace with a name nobody used before."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    async with plane.api() as api:
        await api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


async def remove_namespace(plane: ControlPlane, name: str) -> None:
    """Remove a namespace and everything in it, doing the namespace controller's work."""
    at_once = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
    async with plane.api() as api:
        for group, kind in COLLECTIONS:
            with absent_is_fine():
                await api.delete(f"{group}/namespaces/{name}/{kind}", at_once)
        with absent_is_fine():
            await api.delete(f"/api/v1/namespaces/{name}")
            body = await api.get(f"/api/v1/namespaces/{name}")
            body["spec"]["finalizers"] = []
            await api.replace(f"/api/v1/namespaces/{name}/finalize", body)


@contextlib.contextmanager
def absent_is_fine() -> Any:
    """Pass over the API server's 404."""
    try:
        yield
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise


async def install_crds(plane: ControlPlane) -> list[str]:
    """Install `crds/` in the form that suits the server; returns the names, all established and served."""
    from cliproxy_dev.crds import for_server  # noqa: PLC0415 -- only these tests need it

    manifests = for_server(minor=plane.crd_minor)
    async with plane.api() as api:
        for manifest in manifests:
            await _put(api, manifest)
        for manifest in manifests:
            await eventually(partial(_served, api, manifest), what=f"CRD {manifest['metadata']['name']}")
    return [manifest["metadata"]["name"] for manifest in manifests]


async def _put(api: KubeApi, manifest: Json) -> None:
    path = f"{CRD_PATH}/{manifest['metadata']['name']}"
    try:
        await api.create(CRD_PATH, manifest)
    except ApiError as error:
        if error.status != CONFLICT:
            raise
        version = (await api.get(path))["metadata"]["resourceVersion"]
        await api.replace(path, manifest | {"metadata": manifest["metadata"] | {"resourceVersion": version}})


async def _served(api: KubeApi, manifest: Json) -> bool:
    """Say whether the CRD is established and a list of its objects is answered."""
    crd = await api.get(f"{CRD_PATH}/{manifest['metadata']['name']}")
    conditions = {entry["type"]: entry["status"] for entry in crd.get("status", {}).get("conditions", [])}
    if conditions.get("Established") != "True":
        return False
    spec = crd["spec"]
    try:
        await api.get(f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}")
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise
        return False
    return True
