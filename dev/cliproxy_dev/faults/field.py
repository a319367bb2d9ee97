"""One world under faults: control plane, operator, scripted providers, four sidecars and callers of all four.

Reads and pokes. What a run is, and what is looked at in its end, is left to `run`; starting to `demo.launch`.
"""

import asyncio
import contextlib
import copy
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import NAMESPACE, PODS, documents
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World, is_ready
from cliproxy_dev.faults.between import Between
from cliproxy_dev.faults.checks import Asked
from cliproxy_dev.faults.load import Load
from cliproxy_dev.kube import Json
from cliproxy_dev.process import ManagedProcess

ALL_PODS: Final = (*PODS, "app-3", "app-4")
CLAUDE: Final = "claude-sonnet-5"
START_S: Final = 120.0
VIEW_S: Final = 10.0
"""A sidecar that is paused does not answer; one on a busy machine does in this time."""
PROVIDERS: Final = f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/llmproviders"
PODS_PATH: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"


class NotSeen(Exception):
    """Something did not come about in its time; says what."""


async def until(
    seen: Callable[[], Awaitable[Any]], what: str, *, within_s: float, every_s: float = 0.02
) -> Any:
    """Ask until the answer is true, and return it.

    Raises:
        NotSeen: not within `within_s`.

    """
    deadline_s = now_s() + within_s
    while not (answer := await seen()):
        if now_s() > deadline_s:
            raise NotSeen(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(every_s)
    return answer


@dataclass(frozen=True, slots=True)
class Met:
    """A refusal that some sidecar met, and until when nobody who knows of it may ask again.

    It came at some instant of the request that met it, so that end is known to lie between two.
    """

    pod: str
    at_s: float
    until_s: float
    """At the earliest ..."""
    latest_s: float
    """... and at the latest."""


@dataclass(frozen=True, slots=True)
class Replica:
    """An operator that does not lead."""

    process: ManagedProcess
    url: str


@dataclass(kw_only=True)
class Field:
    """The world and its callers."""

    world: World
    load: Load
    tell: Narrator
    chance: random.Random
    pods: tuple[str, ...] = ALL_PODS
    notes: dict[str, int] = field(default_factory=dict)
    """Counts of what the runs met, for the report."""
    between: Between | None = None
    """What can be held back, in a world whose operator runs behind valves."""
    standby: Replica | None = None
    """The second replica, in a world that has one."""

    @property
    def valves(self) -> Between:
        """What can be held back. Raises RuntimeError in a world without valves."""
        if self.between is None:
            raise RuntimeError("this world's operator runs behind no valves")
        return self.between

    def note(self, what: str) -> None:
        """Count something that a run met."""
        self.notes[what] = self.notes.get(what, 0) + 1

    # ------------------------------------------------------------------ seeing

    async def cooling(self, pod: str) -> Json:
        """Return what cools by a sidecar's own word, by provider; empty if it does not answer."""
        return (await self._view(pod, "cooldown/status")).get("cooldown_periods") or {}

    async def generations(self, pod: str) -> dict[str, int] | None:
        """Return which generation of each provider a sidecar runs; None if it does not say."""
        view = (await self._view(pod, "providers/status")).get("providers")
        return None if view is None else {name: int(its["generation"] or 0) for name, its in view.items()}

    async def objects(self) -> list[Json]:
        """Read all LLMProviders from the API server."""
        items: list[Json] = (await self.world.kube.get(PROVIDERS))["items"]
        return items

    async def standing(self, url: str | None = None) -> Json:
        """Return an operator's own words on its health; empty while it does not answer."""
        with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError):
            timeout = aiohttp.ClientTimeout(total=2.0)
            async with self.world.http.get(
                f"{url or self.world.operator_url}/health", timeout=timeout
            ) as answer:
                health: Json = await answer.json()
                return health
        return {}

    async def linked(self, url: str | None = None, *, pods: int | None = None) -> bool:
        """Whether an operator keeps a link to all sidecars (or to so many)."""
        health = await self.standing(url)
        return bool(
            (health.get("sidecars") or {}).get("linked") == (len(self.pods) if pods is None else pods)
        )

    async def healthy(self) -> bool:
        """Whether every provider is Healthy and in force in every sidecar."""
        summary = f"{len(self.pods)}/{len(self.pods)}"
        statuses = [item.get("status") or {} for item in await self.objects()]
        return all(
            status.get("phase") == "Healthy" and status["sidecars"].get("summary") == summary
            for status in statuses
        )

    async def _view(self, pod: str, path: str) -> Json:
        with contextlib.suppress(OSError, aiohttp.ClientError, TimeoutError):
            url = f"{self.world.proxy_url(pod)}/v0/operations/{path}"
            async with self.world.http.get(url, timeout=aiohttp.ClientTimeout(total=VIEW_S)) as answer:
                view: Json = await answer.json()
                return view
        return {}

    # ------------------------------------------------------------------ poking

    async def refuse(self, retry_after_s: float, *, provider: str = "claude") -> Met:
        """Let a provider refuse the next request with 429; return who met it."""
        query: dict[str, int] = {"times": 1, "retry_after": int(retry_after_s)}
        mark = len(self.load.asked)
        await self.world.preset(provider, "anthropic.rate_limit", **query)

        async def met() -> Asked | None:
            later = self.load.asked[mark:]
            return next((one for one in later if one.model == CLAUDE and one.attempts > 1), None)

        found: Asked = await until(
            met, f"a caller meets the refusal of {provider}", within_s=15, every_s=0.001
        )
        return Met(found.pod, found.ended_s, found.began_s + retry_after_s, found.ended_s + retry_after_s)

    async def start_operator(self) -> None:
        """Start the operator again, as a kubelet would; returns when it is linked with every sidecar."""
        self.world.parts["operator"].start()
        await self.operator_back()

    async def operator_back(self, *, within_s: float = 40.0) -> None:
        """Wait until the operator is linked with every sidecar."""
        await until(self.linked, "the operator has every sidecar", within_s=within_s)

    async def stands_by(self) -> None:
        """Wait until the second replica stands by."""

        async def does() -> bool:
            health = await self.standing(self.standby.url if self.standby is not None else None)
            return health.get("standing") == "standby"

        await until(does, "the second replica stands by", within_s=40.0)

    async def change(self, name: str = "openai") -> int:
        """Change an object a little; return its new generation."""
        return await self.world.patch_spec(name, {"weight": self.chance.randrange(1, 1000)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a fault's world has besides the usual."""

    clocks_s: Mapping[str, int] = field(default_factory=dict)
    """How far the clocks of pods are ahead."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the operator."""


@contextlib.asynccontextmanager
async def running_field(
    run_dir: Path, tell: Narrator, *, seed: int, setting: Setting | None = None
) -> AsyncIterator[Field]:
    """Start a world with its files below `run_dir`, and callers; stop it all in the end."""
    setting = setting or Setting()
    async with running_world(run_dir, tell, environment=setting.environment) as world:
        await _more_pods(world, setting)
        async with Load(lambda: world.addresses) as load:
            chance = random.Random(seed)  # noqa: S311 -- that a run can be played again
            field_ = Field(world=world, load=load, tell=tell, chance=chance)
            await until(field_.healthy, "every provider is healthy and in force", within_s=START_S)
            for pod in field_.pods:
                await field_.generations(pod)  # the first look loads the views
            yield field_


async def _more_pods(world: World, setting: Setting) -> None:
    template = next(one for one in documents(world.block, world.run_dir) if one["kind"] == "Pod")
    for name in ALL_PODS:
        ahead_s = setting.clocks_s.get(name)
        if name in PODS and ahead_s is None:
            continue
        pod = copy.deepcopy(template)
        pod["metadata"]["name"] = name
        if ahead_s is not None:
            sidecar = next(one for one in pod["spec"]["containers"] if one["name"] == "cliproxy")
            sidecar["command"] = [sys.executable, "-m", "cliproxy_dev.faults.skewed", str(ahead_s)]
        if name in PODS:
            await _remove(world, name)
        await world.kube.create(PODS_PATH, pod)

    async def ready() -> bool:
        pods = [await world.pod(name) for name in ALL_PODS]
        world.addresses = {
            pod["metadata"]["name"]: (pod.get("status") or {}).get("podIP", "") for pod in pods
        }
        return all(is_ready(pod) for pod in pods)

    await until(ready, "all sidecar pods are ready", within_s=START_S, every_s=0.1)


async def _remove(world: World, name: str) -> None:
    await world.kube.delete(f"{PODS_PATH}/{name}")

    async def gone() -> bool:
        return all(pod["metadata"]["name"] != name for pod in (await world.kube.get(PODS_PATH))["items"])

    await until(gone, f"pod {name} is gone", within_s=START_S)
