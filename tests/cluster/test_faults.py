"""What the API server and the network do to an operator, and that it catches up and never exits.

The durations are other people's: kopf's default retries end after 54 s, its stall detection takes 70 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from cliproxy_api.report import Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_dev.controlplane.start import ControlPlane
from support.cluster import create_namespace, eventually, remove_namespace
from support.fakesidecar import FakeSidecar
from support.faultproxy import FaultProxy
from support.operatorproc import OperatorProcess, Shop, running

CATCH_UP_S = 20.0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("survivors", [True, False], ids=["others-survive", "none-survives"])
async def test_a_deletion_inside_a_watch_gap_is_not_lost(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path, *, survivors: bool
) -> None:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(FaultProxy(control_plane).serving())
        options = {"server": proxy.url, "env": {"CLIPROXY_RESYNC_INTERVAL": "3s"}}
        operator, shop = await stack.enter_async_context(
            running(control_plane, namespace, tmp_path, **options)
        )
        fake = await stack.enter_async_context(shop.sidecar(operator))
        await shop.secret()
        for name in ["doomed", "kept"] if survivors else ["doomed"]:
            await shop.provider(name)
            await fake.until(partial(holds, fake, name))
        gone = proxy.gone_answers

        proxy.watchable.clear()
        proxy.cut(answer_gone=True)
        await shop.delete("LLMProvider", "doomed")
        proxy.watchable.set()

        await fake.until(lambda: not holds(fake, "doomed"), within_s=30)
        await eventually(lambda: counted(operator, "cliproxy_operator_ghosts_total"), within_s=10)
        assert holds(fake, "kept") is survivors
        await fake_time(lambda: proxy.gone_answers > gone)
        # The watch that came after the 410 works: a new object arrives by itself.
        await shop.provider("new")
        await fake.until(partial(holds, fake, "new"))


def holds(fake: FakeSidecar, name: str) -> bool:
    snapshot = fake.snapshot
    return snapshot is not None and name in [provider.name for provider in snapshot.snapshot.providers]


async def counted(operator: OperatorProcess, metric: str) -> bool:
    return await operator.metric(metric) > 0


async def fake_time(seen: Callable[[], bool]) -> None:
    async def look() -> bool:
        return seen()

    await eventually(look, within_s=30)


class Fault:
    """One way of breaking the connection, and how long it lasts."""

    def __init__(self, name: str, duration_s: float, begin: Callable[[FaultProxy], None]) -> None:
        self.name, self.duration_s, self.begin = name, duration_s, begin


def answering(status: int) -> Callable[[FaultProxy], None]:
    def begin(proxy: FaultProxy) -> None:
        proxy.status = status
        proxy.cut()

    return begin


def dropping(proxy: FaultProxy) -> None:
    proxy.dropping = True
    proxy.cut()


def mend(proxy: FaultProxy) -> None:
    proxy.status, proxy.dropping = None, False
    proxy.flowing.set()


FAULTS = (
    Fault("503", 75, answering(503)),
    Fault("403", 75, answering(403)),
    Fault("frozen", 85, lambda proxy: proxy.flowing.clear()),
    Fault("dropped", 60, dropping),
)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_operator_outlives_an_api_server_that_is_away(
    control_plane: ControlPlane, crds: object, tmp_path: Path
) -> None:
    """All at once, each with an operator and a namespace of its own: the waiting is what takes long."""
    async with asyncio.TaskGroup() as group:
        for fault in FAULTS:
            group.create_task(outlive(control_plane, tmp_path, fault), name=fault.name)


async def outlive(control_plane: ControlPlane, folder: Path, fault: Fault) -> None:
    namespace = await create_namespace(control_plane, f"fault-{fault.name}")
    try:
        async with AsyncExitStack() as stack:
            proxy = await stack.enter_async_context(FaultProxy(control_plane).serving())
            operator, shop = await stack.enter_async_context(
                running(control_plane, namespace, folder, server=proxy.url)
            )
            first = await stack.enter_async_context(shop.sidecar(operator, "app-1"))
            second = await stack.enter_async_context(shop.sidecar(operator, "app-2"))
            await play(fault, proxy, operator, shop, (first, second))
    finally:
        await remove_namespace(control_plane, namespace)


async def play(
    fault: Fault,
    proxy: FaultProxy,
    operator: OperatorProcess,
    shop: Shop,
    fakes: tuple[FakeSidecar, FakeSidecar],
) -> None:
    first, second = fakes
    await shop.secret()
    await shop.provider("old")
    await shop.provider("doomed")
    for fake in fakes:
        await fake.until(lambda fake=fake: holds(fake, "doomed") and holds(fake, "old"))
    pid, epoch = operator.process.pid, second.newest_epoch

    fault.begin(proxy)
    over = asyncio.get_running_loop().time() + fault.duration_s
    await shop.provider("new")
    await shop.delete("LLMProvider", "doomed")
    await eventually(lambda: stands(operator, "adrift"), within_s=30, what=f"{fault.name}: adrift")
    # No API server, yet what one sidecar learns protects the other.
    first.tell(tripped(shop))
    await second.until(lambda: second.state and second.state.state.cooldowns)
    async with asyncio.timeout_at(over + 60):
        while asyncio.get_running_loop().time() < over:  # the fault's own duration is the subject
            assert operator.process.pid == pid, f"{fault.name}: the operator ended\n{operator.log()[-2000:]}"
            await asyncio.sleep(0.5)

    mend(proxy)
    for fake in fakes:
        await fake.until(partial(holds, fake, "new"), within_s=CATCH_UP_S)
        await fake.until(lambda fake=fake: not holds(fake, "doomed"), within_s=CATCH_UP_S)
    await shop.until_phase("old", "CoolingDown", within_s=CATCH_UP_S)
    assert operator.process.pid == pid
    assert (second.newest_epoch, second.streams) == (epoch, 1), f"{fault.name}: the link did not stay"


async def stands(operator: OperatorProcess, standing: str) -> bool:
    return bool((await operator.get("/health/ready"))[1]["standing"] == standing)


def tripped(shop: Shop) -> Tripped:
    return Tripped(
        scope=Scope(provider=f"{shop.namespace}/old", credential="main", model="claude-sonnet-4-5"),
        outcome_class=OutcomeClass.RATE_LIMITED,
        reason="429 rate_limit_error",
        remaining_s=600,
    )
