"""A node that ends while its API server is away ends all the same."""

from __future__ import annotations

from cliproxy_dev.kube import KubeApi
from cliproxy_dev.kubeconfig import Endpoint
from cliproxy_dev.nodeagent.logs import unregister
from cliproxy_dev.ports import free_ports


async def test_a_node_of_an_api_server_that_is_away_stays() -> None:
    [port] = free_ports(1)
    async with KubeApi(Endpoint(server=f"http://127.0.0.1:{port}")) as api:
        await unregister(api, "local")
