"""Parts killed with SIGKILL in the middle of a cooldown: what was decided stays decided."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.crash import answers_ready, kill_sidecar
from cliproxy_dev.demo.launch import restart_operator, running_world
from cliproxy_dev.demo.layout import PODS
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World

pytestmark = pytest.mark.timeout(180)
MODEL = "claude-sonnet-5"
RETRY_AFTER_S = 120
"""Longer than any of these tests."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path, Narrator(sys.stderr)) as running:
        await until(running.all_healthy, "every provider is healthy and in force")
        yield running


async def until(seen: Callable[[], Awaitable[bool]], what: str, *, within_s: float = 30) -> None:
    deadline_s = now_s() + within_s
    while not await seen():
        assert now_s() < deadline_s, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.02)


async def cool_claude(world: World) -> dict[str, Any]:
    """Let claude answer one 429; return its status once both sidecars and status know."""
    await world.preset("claude", "anthropic.rate_limit", times=1, retry_after=RETRY_AFTER_S)
    assert await world.ask("anthropic", "app-1", MODEL) == 200

    async def known() -> bool:
        return (await world.status("claude")).get("phase") == "CoolingDown"

    await until(known, "status says CoolingDown")
    for pod in PODS:
        await until(lambda pod=pod: world.refrains(pod, "claude"), f"{pod} refrains")
    return await world.status("claude")


async def shows(world: World, pod: str, cooldown_until: str) -> bool:
    """Whether a sidecar names the very instant that stands in status."""
    status = await world.operations(pod, "cooldown/status")
    told = datetime.fromisoformat(status["cooldown_periods"]["claude"]["ends_at"])
    return told == datetime.fromisoformat(cooldown_until)


async def test_an_operator_killed_in_mid_cooldown_changes_nothing(world: World) -> None:
    before = await cool_claude(world)
    for pod in PODS:
        await until(lambda pod=pod: shows(world, pod, before["cooldownUntil"]), f"{pod} has status' instant")
    asked_before = await world.requests_count("claude", "/v1/messages")

    await restart_operator(world)

    after = await world.status("claude")
    assert after["cooldownUntil"] == before["cooldownUntil"]
    assert [item["until"] for item in after["cooldowns"]] == [item["until"] for item in before["cooldowns"]]
    for pod in PODS:
        await until(lambda pod=pod: world.refrains(pod, "claude"), f"{pod} refrains")
        assert await shows(world, pod, before["cooldownUntil"])
        assert await world.ask("anthropic", pod, MODEL) == 200
    assert await world.requests_count("claude", "/v1/messages") == asked_before


async def test_a_sidecar_killed_in_mid_cooldown_cools_again(world: World) -> None:
    before = await cool_claude(world)
    asked_before = await world.requests_count("claude", "/v1/messages")

    await kill_sidecar(world, "app-1")
    await until(lambda: answers_ready(world, "app-1"), "app-1 is ready again")
    # State is pushed before configuration: who is ready has heard of every cooldown.
    assert await world.refrains("app-1", "claude")
    assert await world.ask("anthropic", "app-1", MODEL) == 200
    assert await world.requests_count("claude", "/v1/messages") == asked_before
    assert (await world.status("claude"))["cooldownUntil"] == before["cooldownUntil"]


async def test_a_steady_system_writes_nothing(world: World) -> None:
    # The last figures are written at most 15 s after they changed.
    await asyncio.sleep(20)
    before = len(world.operator_writes())
    await asyncio.sleep(10)

    writes = [entry["objectRef"]["resource"] for entry in world.operator_writes()[before:]]
    assert [resource for resource in writes if resource != "leases"] == []
    assert writes, "the leader renews its lease; no write at all means that nothing was counted"
