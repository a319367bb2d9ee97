"""Keys and prompts planted everywhere, and everything that the system says searched for them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cliproxy_api.vocabulary import OBSERVE_PORT
from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import NAMESPACE, OPERATOR_NAMESPACE, PODS, SCRIPTED
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World
from support.receivers import Receiver
from support.traces import spans_of

pytestmark = pytest.mark.timeout(180)

ROTATED = "sk-planted-rotated-7f3a9c"
"""A provider key that the provider refuses, and repeats in its refusal."""
CALLERS = "sk-planted-caller-51d0e2"
"""What an application sends as its own key."""
PROMPT = "planted-prompt-a8c41e"
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-5"}
VIEWS = (
    "providers/status",
    "cooldown/status",
    "load_balancing/status",
    "circuit_breakers",
    "connections",
    "cache/stats",
    "costs",
)
KINDS = (
    f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/llmproviders",
    f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/proxyprofiles",
    f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/cooldownpolicies",
    f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/alertrules",
    f"/api/v1/namespaces/{NAMESPACE}/events",
    f"/api/v1/namespaces/{NAMESPACE}/pods",
    f"/api/v1/namespaces/{NAMESPACE}/configmaps",
    f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/events",
    f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/configmaps",
    f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases",
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with running_world(tmp_path, Narrator(sys.stderr)) as running:
        deadline_s = now_s() + 30
        while not await running.all_healthy():
            assert now_s() < deadline_s
            await asyncio.sleep(0.05)
        yield running


@pytest.fixture
async def receiver(world: World) -> AsyncIterator[Receiver]:
    """Every request of every sidecar traced to it."""
    async with Receiver().serving() as serving:
        path = f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/proxyprofiles/team-a"
        tracing = {"endpoint": serving.url, "sampleRate": 1}
        await world.kube.merge_patch(path, {"spec": {"tracing": tracing}})
        deadline_s = now_s() + 30
        while len({span.resource["k8s.pod.name"] for span in spans_of(serving.taken)}) < len(PODS):
            assert now_s() < deadline_s
            for pod in PODS:
                assert await world.ask("openai", pod, MODELS["openai"]) == 200
            await asyncio.sleep(0.1)
        yield serving


async def test_what_is_planted_comes_up_nowhere(world: World, receiver: Receiver) -> None:
    told: dict[str, str] = {}
    # Order matters: what a working key, a refused key and broken providers leave behind must all be there.
    told |= await answers(world, "working")
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets/provider-keys"
    await world.kube.merge_patch(path, {"stringData": {"openai": ROTATED}})
    await refused(world)
    await world.preset("claude", "anthropic.api_error", times=3)
    await world.preset("claude-backup", "anthropic.rate_limit", times=3, retry_after=30)
    told |= await answers(world, "failing")

    for pod in PODS:
        for view in VIEWS:
            told[f"{pod} {view}"] = await text(world, f"{world.proxy_url(pod)}/v0/operations/{view}")
        told[f"{pod} metrics"] = await text(world, f"http://{world.addresses[pod]}:{OBSERVE_PORT}/metrics")
    told["operator metrics"] = await text(world, f"{world.operator_url}/metrics")
    for kind in KINDS:
        told[kind] = json.dumps(await world.kube.get(kind))
    for log in world.run_dir.glob("logs/*"):
        told[log.name] = log.read_text("utf-8")

    await receiver.until(lambda: b"unknown_model" in bodies(receiver) and b"RateLimited" in bodies(receiver))
    told["traces"] = bodies(receiver).decode("latin-1")

    assert "Auth" in told["traces"], "the refused key is in no trace: this test looks at nothing"
    assert "Auth" in told[KINDS[0]], "the refused key has left no trace at all: this test looks at nothing"
    keys = [scripted.key for scripted in SCRIPTED.values()]
    planted = (*keys, ROTATED, CALLERS, PROMPT, "PRIVATE KEY")
    assert list(found(told, planted)) == []


def bodies(receiver: Receiver) -> bytes:
    return b"".join(one.body for one in receiver.got)


def found(told: dict[str, str], planted: tuple[str, ...]) -> Iterator[str]:
    for place, said in told.items():
        for secret in planted:
            at = said.find(secret)
            if at >= 0:
                yield f"{place}: …{said[max(0, at - 80) : at + len(secret)]}"


async def refused(world: World) -> None:
    """Ask until the rotated key has reached a sidecar and been refused."""
    deadline_s = now_s() + 30
    while "Auth" not in json.dumps((await world.status("openai")).get("cooldowns", [])):
        assert now_s() < deadline_s
        for pod in PODS:
            assert await world.ask("openai", pod, MODELS["openai"]) == 200
        await asyncio.sleep(0.05)


async def answers(world: World, when: str) -> dict[str, str]:
    """Ask in every way a caller may get it wrong; return what callers and explain were told."""
    told: dict[str, str] = {}
    for dialect, model in MODELS.items():
        chat = "/v1/messages" if dialect == "anthropic" else "/v1/chat/completions"
        good: dict[str, Any] = {
            "model": model,
            "max_tokens": 16,
            "messages": [{"role": "user", "content": PROMPT}],
        }
        cases = {
            "plain": json.dumps(good),
            "stream": json.dumps({**good, "stream": True}),
            "unknown model": json.dumps({**good, "model": "nobody-has-this"}),
            "not JSON": json.dumps(good)[:-9],
        }
        for case, body in cases.items():
            for pod in PODS:
                url = f"{world.proxy_url(pod)}{chat}?key={CALLERS}"
                place = f"{when} {dialect} {case} {pod}"
                head, said = await asked(world, url, body)
                # A scripted provider repeats what it was asked; only what was not asked for may stay away.
                told[place] = f"{head} {said}".replace(PROMPT, "")
                number = head["x-request-id"]
                explained = f"{world.proxy_url(pod)}/v0/operations/requests/{number}/explain"
                told[f"{place} explained"] = await text(world, explained)
    return told


async def asked(world: World, url: str, body: str) -> tuple[dict[str, str], str]:
    headers = {
        "authorization": f"Bearer {CALLERS}",
        "x-api-key": CALLERS,
        "x-goog-api-key": CALLERS,
        "content-type": "application/json",
    }
    async with world.http.post(url, data=body, headers=headers) as response:
        assert response.status < 600
        return {name.lower(): value for name, value in response.headers.items()}, await response.text()


async def text(world: World, url: str) -> str:
    async with world.http.get(url, timeout=aiohttp.ClientTimeout(total=10)) as response:
        return await response.text()
