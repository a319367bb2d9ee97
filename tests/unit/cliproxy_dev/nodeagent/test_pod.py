"""A pod's volumes follow its Secrets, whenever they change."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, cast

import aiohttp

from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.kubeconfig import Endpoint
from cliproxy_dev.nodeagent.addresses import AddressPool
from cliproxy_dev.nodeagent.pod import Node, PodWorker

VOLUME = {"name": "tls", "secret": {"secretName": "cert", "optional": True}}
POD = {
    "metadata": {"name": "web", "namespace": "apps", "uid": "u-1"},
    "spec": {"containers": [], "volumes": [VOLUME]},
}
MOUNTS = {"volumeMounts": [{"name": "tls", "mountPath": "/tls"}]}


class Secrets:
    """An API server that makes the Secret right after it has said that there is none."""

    def __init__(self) -> None:
        self.worker: PodWorker | None = None
        self.reads = 0

    async def get(self, _path: str) -> Json:
        self.reads += 1
        made: Json = {"data": {"tls.crt": base64.b64encode(b"certificate").decode()}}
        if self.reads > 1:
            return made
        assert self.worker is not None
        self.worker.secret_changed("cert", made)  # the watch is faster than this answer
        raise ApiError(404, "NotFound", "not found")


async def test_a_secret_made_while_it_is_read_is_shown(tmp_path: Path) -> None:
    secrets = Secrets()
    node = Node(
        name="local",
        api=cast("KubeApi", secrets),
        session=cast("aiohttp.ClientSession", None),
        pool=AddressPool(),
        run_dir=tmp_path,
        images={},
        endpoint=Endpoint(server=""),
    )
    worker: Any = PodWorker(node, POD, gone=lambda: None)
    secrets.worker = worker

    places = await worker._volumes(MOUNTS)

    assert (places["tls"] / "tls.crt").read_bytes() == b"certificate"
