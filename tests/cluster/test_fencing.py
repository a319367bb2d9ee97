"""A leader that was paused wakes up into a world that has moved on: it changes nothing there."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from cliproxy_api.report import Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_dev.controlplane.start import ControlPlane
from support.cluster import eventually
from support.operatorproc import OperatorProcess, running

pytestmark = pytest.mark.timeout(120)
QUICK = {"CLIPROXY_LEASE_DURATION": "2s", "CLIPROXY_LEASE_RENEW": "1s", "CLIPROXY_LEASE_RETRY": "250ms"}
QUIET_S = 1.0
"""Without a write: what one cause brings about comes sooner."""


async def stands(operator: OperatorProcess, standing: str) -> bool:
    try:
        return bool((await operator.get("/health/ready"))[1]["standing"] == standing)
    except (OSError, TimeoutError):
        return False


async def test_a_paused_leader_that_wakes_up_changes_nothing(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    async with running(control_plane, namespace, tmp_path, env=QUICK) as (first, shop):
        port = {"CLIPROXY_CONTROL_PORT": str(first.control_port)}
        async with (
            OperatorProcess(control_plane, namespace, tmp_path, env=QUICK | port) as second,
            shop.sidecar(first) as fake,
        ):

            async def recovered() -> bool:
                return (await shop.status("claude")).get("phase") != "CoolingDown"

            async def synced() -> bool:
                return ((await shop.status("claude")).get("sidecars") or {}).get("summary") == "1/1"

            async def settled() -> bool:
                before = await first.writes()
                await asyncio.sleep(QUIET_S)
                return await first.writes() == before

            await shop.secret()
            await shop.provider("claude")
            await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.providers)
            await eventually(lambda: stands(second, "standby"), within_s=30)
            await eventually(synced, what="status is written")
            await eventually(settled, what="so is the Event that tells of it, and nothing is left")
            epoch, pid = fake.newest_epoch, first.process.pid
            assert pid is not None
            # Not the Lease's: a renewal may be under way at the very moment of the pause, and is none that it
            # has decided upon since.
            writes = await first.writes()

            os.kill(pid, signal.SIGSTOP)
            try:
                # It will find this in its sockets when it wakes, and would have to act on it.
                await shop.provider("claude", weight=7)
                await shop.annotate("LLMProvider", "claude", cooldown="10m")
                await eventually(lambda: stands(second, "leading"), within_s=20)
                await fake.until(lambda: fake.newest_epoch > epoch and fake.read)
                await shop.until_phase("claude", "CoolingDown")
                await shop.annotate("LLMProvider", "claude", recover="now")
                await eventually(recovered, what="the new leader has consumed what was asked of the old one")
                pushed = len(fake.snapshots)
            finally:
                os.kill(pid, signal.SIGCONT)

            await eventually(
                lambda: stands(first, "standby"), within_s=20, what="it knows that it is deposed"
            )
            assert await first.writes() == writes
            epochs = [push.position.epoch for push in fake.states]
            assert epochs == sorted(epochs), "nothing of the old epoch was taken after the new one"
            assert all(push.position.epoch > epoch for push in fake.snapshots[pushed:])

            # The new one leads on, undisturbed.
            fake.tell(
                Tripped(
                    scope=Scope(provider=f"{shop.namespace}/claude"),
                    outcome_class=OutcomeClass.OVERLOADED,
                    reason="529",
                    remaining_s=60,
                )
            )
            await shop.until_phase("claude", "CoolingDown")
            assert await stands(second, "leading")
            assert await stands(first, "standby")
