"""Puts the world's operator behind valves (`between`), by nothing but its ordinary settings.

And slows the ramp down, so that a busy machine can hold a step of it before the next one has come.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from cliproxy_api.vocabulary import CONTROL_PORT
from cliproxy_dev import kubeconfig
from cliproxy_dev.demo.launch import another_operator
from cliproxy_dev.demo.layout import NAMESPACE
from cliproxy_dev.faults.between import Between
from cliproxy_dev.faults.field import Field, Replica
from cliproxy_dev.faults.valve import Valve

STEP: Final = "3s"
"""Each step of the ramp; the demonstration's lasts a second."""
POLICY: Final = f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/cooldownpolicies/quick"
VALVE_PORT: Final = 8328
"""On each pod's own address, beside its control port."""


@asynccontextmanager
async def valves(field: Field) -> AsyncIterator[None]:
    """Stop the operator that runs, and run one behind valves; `field.between` has them."""
    world = field.world
    async with AsyncExitStack() as stack:
        pods = {pod: Valve(address, CONTROL_PORT) for pod, address in world.addresses.items()}
        for pod, valve in pods.items():
            await stack.enter_async_context(valve.listening(world.addresses[pod], VALVE_PORT))
        server = urlsplit(world.plane.server)
        host = str(server.hostname)
        apiserver = Valve(host, int(server.port or 443))
        port = await stack.enter_async_context(apiserver.listening(host, 0))
        path = world.run_dir / "kubeconfig-behind-a-valve"
        endpoint = replace(world.plane.endpoint_of("operator"), server=f"https://{host}:{port}")
        await asyncio.to_thread(kubeconfig.write, path, endpoint, user="operator")
        await world.parts["operator"].stop()
        settings = {"KUBECONFIG": str(path), "CLIPROXY_CONTROL_PORT": str(VALVE_PORT)}
        behind = another_operator(world, "operator", environment=settings)
        world.parts["operator"], world.operator_url = await stack.enter_async_context(behind)
        field.between = Between(pods, apiserver, settings)
        stack.callback(field.between.open)
        await world.kube.merge_patch(POLICY, {"spec": {"recovery": {"checkInterval": STEP}}})
        await field.operator_back()
        yield


@asynccontextmanager
async def standby(field: Field) -> AsyncIterator[None]:
    """Run two replicas behind valves: `field.standby` is the one that does not lead."""
    other = another_operator(field.world, "operator-1", environment=field.valves.environment)
    async with other as (process, url):
        field.standby = Replica(process, url)
        await field.stands_by()
        yield


@asynccontextmanager
async def valves_and_standby(field: Field) -> AsyncIterator[None]:
    """Both of the above."""
    async with valves(field), standby(field):
        yield
