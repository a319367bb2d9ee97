"""Two leaders: the old one is stopped (SIGSTOP), another leads, and then the old one wakes up."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.launch import another_operator
from cliproxy_dev.faults.field import Field, until
from cliproxy_dev.faults.run import KNOWN_S, TOLD_S, Run
from cliproxy_dev.process import ManagedProcess

COOLS_S: Final = 25
LEADS_S: Final = 15.0
CALM_S: Final = 3.0
_WRITES: Final = "cliproxy_operator_api_writes_total"


@asynccontextmanager
async def second_operator(field: Field) -> AsyncIterator[tuple[ManagedProcess, str]]:
    """Another replica, standing by; its process and URL."""
    async with another_operator(field.world, "operator-1") as (process, url):

        async def stands_by() -> bool:
            return (await field.standing(url)).get("standing") in ("standby", "leading")

        await until(stands_by, "the second replica stands by", within_s=30)
        yield process, url


async def two_leaders(field: Field, run: Run, number: int) -> None:
    """Stop the leader, let the other lead and decide, wake the old one: it must change nothing."""
    async with second_operator(field) as (process, url):
        first = (field.world.parts["operator"], field.world.operator_url)
        second = (process, url)
        leads = (await field.standing(first[1])).get("standing") == "leading"
        (old, old_url), (_, new_url) = (first, second) if leads else (second, first)
        met = await field.refuse(COOLS_S) if number % 2 else None
        await asyncio.sleep(CALM_S)  # what it was about to write is written, and is no sin
        writes = await _writes(field, old_url)
        pid = old.pid
        if pid is None:
            raise RuntimeError("the leader does not run")
        os.kill(pid, signal.SIGSTOP)
        try:
            await until(
                lambda: field.linked(new_url), "the other leads and has every sidecar", within_s=LEADS_S
            )
            met = met or await field.refuse(COOLS_S)
            run.cooled(met, told_s=now_s() + TOLD_S)
            await run.known(met, within_s=KNOWN_S)
            await field.change("vllm")
        finally:
            os.kill(pid, signal.SIGCONT)

        async def knows() -> bool:
            return (await field.standing(old_url)).get("standing") == "standby"

        await until(knows, "the old one knows that it is deposed", within_s=LEADS_S)
        if (later := await _writes(field, old_url)) != writes:
            run.seen.other.append(f"the old leader wrote {later - writes:g} times after it woke up")
        await run.agree(met)
        if not await field.linked(new_url):
            run.seen.other.append("the new leader lost links to the old one")
        # The next run has one replica: the world's own must lead before the other goes.
        await process.stop()
    await field.operator_back()


async def _writes(field: Field, url: str) -> float:
    """Count its writes, but for the Lease: a renewal may be under way when it is stopped."""
    timeout = aiohttp.ClientTimeout(total=5)
    async with field.world.http.get(f"{url}/metrics", timeout=timeout) as answer:
        lines = (await answer.text()).splitlines()
    counted = [line for line in lines if line.startswith(_WRITES + "{") and 'kind="Lease"' not in line]
    return sum(float(line.rpartition(" ")[2]) for line in counted)
