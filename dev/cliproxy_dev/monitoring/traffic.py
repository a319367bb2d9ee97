"""Real traffic for the dashboards, in the demonstration's world with prices, consumers and a cache.

Everything that a panel shows happens at least once: streams, answers from the cache, a rate limit, a consumer
over its limit and over its budget, a stranger. Returns what was sent, so that figures can be held against it.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from cliproxy_dev.demo.layout import NAMESPACE, PODS
from cliproxy_dev.demo.world import World

KEYS: Final = {"web": "demo-consumer-web-0123456789", "batch": "demo-consumer-batch-0123456789"}
PRICES: Final = {"input": "2000", "output": "8000"}
"""Dear, so that a few requests are a sum to look at."""
AFTER_LIMIT: Final = 8
WITHIN_S: Final = 60.0
UNAUTHORIZED: Final = 401
_PROFILES: Final = f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/proxyprofiles"
_RULES: Final = f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/alertrules"
_CONSUMERS: Final = [
    {
        "name": "web",
        "keySecretRef": {"name": "callers", "key": "web"},
        "budget": {"daily": "0.01", "onExceeded": "Warn"},
    },
    {
        "name": "batch",
        "keySecretRef": {"name": "callers", "key": "batch"},
        "rateLimit": {"requestsPerMinute": 1},
    },
]


@dataclass(slots=True)
class Sent:
    """What callers sent and got."""

    statuses: dict[int, int] = field(default_factory=dict)
    before: int = 0
    """Requests that others had sent."""
    hits: int = 0
    """Answers that came from the cache."""

    @property
    def requests(self) -> int:
        """All there were, refused ones among them."""
        return self.before + sum(self.statuses.values())


async def prepare(world: World) -> None:
    """Give the world's models prices and a quota, its profile consumers and a cache; wait for all of it."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "callers", "namespace": NAMESPACE},
        "stringData": KEYS,
    }
    await world.kube.create(f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
    for name, model in (("openai", "gpt-4o-mini"), ("claude", "claude-sonnet-5")):
        quota = {"limit": 100_000, "unit": "tokens"}
        models = [{"name": model, "pricing": PRICES}]
        await world.patch_spec(name, {"models": models, "quota": quota})
    profile = {"consumers": _CONSUMERS, "cache": {"enabled": True}}
    await world.kube.merge_patch(f"{_PROFILES}/team-a", {"spec": profile})
    await world.kube.merge_patch(
        f"{_RULES}/provider-cooling", {"spec": {"condition": "in_cooldown", "duration": "0s"}}
    )
    async with asyncio.timeout(WITHIN_S):
        while not await world.all_healthy() or not await _knows_consumers(world):  # noqa: ASYNC110 -- a real cluster
            await asyncio.sleep(0.1)


async def warm_up(world: World, sent: Sent) -> None:
    """Send one request of each kind: series begin."""
    for pod in PODS:
        for stream in (False, True):
            await ask(world, sent, pod, "gpt-4o-mini", "warm", stream=stream)
            await ask(world, sent, pod, "claude-sonnet-5", "warm", stream=stream)


async def play(world: World, sent: Sent) -> None:
    """Send what the dashboards are to show."""
    for number in range(15):
        for pod in PODS:
            await ask(world, sent, pod, "gpt-4o-mini", f"question {number // 3}", stream=number % 2 == 0)
            await ask(world, sent, pod, "claude-sonnet-5", f"question {number}", stream=number % 2 == 1)
    for pod in PODS:
        await ask(world, sent, pod, "gpt-4o-mini", f"nobody at {pod}", key="demo-nobody-0123456789")
        for number in range(3):
            await ask(world, sent, pod, "gpt-4o-mini", f"batch {number} {pod}", key=KEYS["batch"])
    await world.patch_spec("claude", {"weight": 2})  # so that the operator has something to compile
    await world.preset("openai", "openai.rate_limit", times=2, retry_after=5)
    for number in range(AFTER_LIMIT):
        await ask(world, sent, PODS[number % 2], "gpt-4o-mini", f"limited {number}")


async def ask(
    world: World,
    sent: Sent,
    pod: str,
    model: str,
    text: str,
    *,
    stream: bool = False,
    key: str = KEYS["web"],
) -> None:
    """Send one question as an application would."""
    anthropic = model.startswith("claude")
    path = "/v1/messages" if anthropic else "/v1/chat/completions"
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": 16,
        "stream": stream,
        "messages": [{"role": "user", "content": text}],
    }
    if stream and not anthropic:
        body["stream_options"] = {"include_usage": True}
    headers = {"Authorization": f"Bearer {key}"}
    async with world.http.post(world.proxy_url(pod) + path, json=body, headers=headers) as response:
        await response.read()
        sent.statuses[response.status] = sent.statuses.get(response.status, 0) + 1
        sent.hits += response.headers.get("x-cliproxy-cache") in {"hit", "shared"}


async def _knows_consumers(world: World) -> bool:
    """Whether every sidecar asks for keys."""
    for pod in PODS:
        async with world.http.get(f"{world.proxy_url(pod)}/v1/models") as response:
            await response.read()
            if response.status != UNAUTHORIZED:
                return False
    return True
