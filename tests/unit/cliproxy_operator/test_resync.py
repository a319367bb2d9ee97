"""Lists fill the store, find what the watch has lost, and name what cannot be listed."""

import asyncio
import base64
from dataclasses import dataclass, field
from typing import Any

import pytest

from cliproxy_operator.kinds import POD, PROVIDER, SECRET, WATCHED
from cliproxy_operator.kube import ApiError
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.resync import Resync, explain
from cliproxy_operator.settings import read_settings
from cliproxy_operator.store import Store
from cliproxy_operator.vault import Vault
from support.cluster import eventually
from support.listkube import ListKube
from support.manualclock import ManualClock


@dataclass
class World:
    kube: ListKube = field(default_factory=ListKube)
    clock: ManualClock = field(default_factory=ManualClock)
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.store = Store(lambda _: None)
        self.vault = Vault(lambda _: None, digest_key=b"k")
        self.resync = self.make()

    def make(self, **environment: str) -> Resync:
        return Resync(
            kube=self.kube,  # type: ignore[arg-type]
            settings=read_settings({"CLIPROXY_CONTROL_TOKEN": "x" * 16, **environment}),
            store=self.store,
            vault=self.vault,
            clock=self.clock,
            metrics=self.metrics,
        )

    async def round(self) -> None:
        """List everything once."""
        for resource in list(self.resync._due_s):
            await self.resync._attempt(resource)

    async def knows(self, *names: str) -> bool:
        return self.names() == set(names) and PROVIDER not in self.resync.problems

    def names(self) -> set[str]:
        return {name for _, name in self.store.keys(PROVIDER)}


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_lists_fill_the_store(world: World) -> None:
    world.kube.put(PROVIDER, 5, "claude")
    assert world.resync.problems.keys() == set(WATCHED)
    await world.round()

    assert world.names() == {"claude"}
    assert world.resync.synced.is_set()
    assert world.resync.problems == {}


async def test_an_object_that_vanished_is_dropped(world: World) -> None:
    world.kube.put(PROVIDER, 5, "claude")
    world.kube.put(PROVIDER, 6, "gpt")
    await world.round()
    del world.kube.objects["llmproviders", "shop", "claude"]
    await world.round()

    assert world.names() == {"gpt"}
    assert world.metrics.ghosts.labels("LLMProvider")._value.get() == 1


async def test_an_object_that_a_list_lacked_but_is_there_stays(world: World) -> None:
    world.kube.put(PROVIDER, 5, "claude")
    await world.round()
    world.kube.hidden.add(("llmproviders", "shop", "claude"))
    world.kube.put(PROVIDER, 9, "claude", spec={"priority": 2})
    await world.round()

    held = world.store.get(PROVIDER, "shop", "claude")
    assert held is not None
    assert held["spec"] == {"priority": 2}


async def test_an_event_that_overtakes_the_answer_for_one_object_holds(world: World) -> None:
    world.kube.put(PROVIDER, 5, "claude")
    await world.round()
    world.kube.hidden.add(("llmproviders", "shop", "claude"))
    old = world.kube.put(PROVIDER, 9, "claude")
    new = {**old, "metadata": {**old["metadata"], "resourceVersion": "10"}}
    world.kube.on_get = lambda: world.store.upsert(PROVIDER, new)
    await world.round()

    assert version(world) == "10"


async def test_only_served_namespaces_are_listed(world: World) -> None:
    world.kube.put(PROVIDER, 5, "claude")
    world.kube.put(PROVIDER, 5, "foreign", namespace="shed")
    world.resync = world.make(CLIPROXY_NAMESPACES="shop")
    await world.round()

    assert world.names() == {"claude"}
    assert not any("namespaces" in asked for asked in world.kube.asked)


async def test_secrets_are_asked_for_by_name(world: World) -> None:
    world.vault.need("shop", [("shop", "keys"), ("shop", "none")])
    world.kube.put(SECRET, 3, "keys", data={"key": base64.b64encode(b"sk-1").decode()})
    await world.round()

    assert "list secrets" not in world.kube.asked
    assert world.vault.values(["shop/keys/key"])
    assert world.vault.views([("shop", "none")]) == {("shop", "none"): None}


async def test_a_lost_deletion_of_a_secret_is_found(world: World) -> None:
    world.vault.need("shop", [("shop", "keys")])
    world.kube.put(SECRET, 3, "keys", data={"key": base64.b64encode(b"sk-1").decode()})
    await world.round()
    world.kube.objects.clear()
    await world.round()

    assert world.vault.views([("shop", "keys")]) == {("shop", "keys"): None}


async def test_a_secret_that_cannot_be_read_holds_up_no_other_nor_the_beginning(world: World) -> None:
    world.vault.need("shop", [("shop", "broken"), ("shop", "keys")])
    world.kube.put(SECRET, 3, "keys", data={"key": base64.b64encode(b"sk-1").decode()})
    world.kube.broken["secrets", "shop", "broken"] = ApiError(500, "InternalError", "unable to decrypt")
    await world.round()
    assert world.resync.synced.is_set()
    assert world.vault.values(["shop/keys/key"])["shop/keys/key"].reveal() == "sk-1"

    world.kube.put(SECRET, 4, "keys", data={"key": base64.b64encode(b"sk-2").decode()})
    world.clock.advance(world.resync._settings.resync_interval_s * 1.2)
    await world.round()
    assert world.vault.values(["shop/keys/key"])["shop/keys/key"].reveal() == "sk-2"
    assert "unable to decrypt" in world.resync.problems[SECRET]
    assert world.resync._due_s[SECRET] - world.clock.now() < 10


async def secrets_asked(world: World) -> list[str]:
    """Return the Secrets that one more attempt asks for."""
    world.kube.asked.clear()
    await world.resync._attempt(SECRET)
    return [asked.removeprefix("get ").removesuffix(" secrets") for asked in world.kube.asked]


async def test_only_a_secret_that_could_not_be_read_is_asked_for_again_soon(world: World) -> None:
    world.vault.need("shop", [("shop", name) for name in ("a", "broken", "c")])
    world.kube.broken["secrets", "shop", "broken"] = ApiError(500, "InternalError", "unable to decrypt")
    await world.round()
    everything = ["shop/a", "shop/broken", "shop/c"]
    assert await secrets_asked(world) == ["shop/broken"]
    assert await secrets_asked(world) == ["shop/broken"]
    assert "unable to decrypt" in world.resync.problems[SECRET]

    world.clock.advance(world.resync._settings.resync_interval_s * 1.2)
    assert await secrets_asked(world) == everything, "at the ordinary interval"
    world.resync.soon(SECRET)
    assert await secrets_asked(world) == everything, "kopf listed anew"
    world.resync.anew()
    assert await secrets_asked(world) == everything, "the data went back"

    due_s = world.resync._secrets_due_s
    world.clock.advance(1)
    world.kube.broken.clear()
    assert await secrets_asked(world) == ["shop/broken"]
    assert SECRET not in world.resync.problems
    assert world.resync._due_s[SECRET] == due_s, "the others are read no later for it"
    assert await secrets_asked(world) == everything


async def test_after_nobody_answered_all_secrets_are_asked_for(world: World) -> None:
    world.vault.need("shop", [("shop", name) for name in ("a", "broken", "c")])
    await world.round()
    for status in (500, 0):
        world.kube.broken["secrets", "shop", "broken"] = ApiError(status, "Error", "away")
        await world.resync._attempt(SECRET)
    world.kube.broken.clear()
    assert await secrets_asked(world) == ["shop/a", "shop/broken", "shop/c"]


async def test_a_missing_crd_is_named_and_its_coming_is_noticed(world: World) -> None:
    world.kube.refusals["llmproviders"] = ApiError(404, "NotFound", "no such thing")
    await world.round()
    assert not world.resync.synced.is_set()
    assert list(world.resync.problems) == [PROVIDER]
    assert "llmproviders.cliproxy.io is not installed" in world.resync.problems[PROVIDER]

    world.kube.refusals.clear()
    await world.round()
    assert world.resync.synced.is_set()


async def test_what_fails_is_soon_tried_again_with_growing_pauses(world: World) -> None:
    world.kube.refusals["llmproviders"] = ApiError(503, "Unavailable", "away")
    pauses = []
    for _ in range(12):
        await world.resync._attempt(PROVIDER)
        pauses.append(world.resync._due_s[PROVIDER] - world.clock.now())

    assert pauses[0] < 0.5
    assert 3 < pauses[-1] < 7


async def test_kopfs_own_list_is_followed_by_one_of_ours(world: World) -> None:
    world.resync.soon(PROVIDER)
    assert world.resync._due_s[PROVIDER] == 0.0
    await world.round()
    later = world.resync._due_s[PROVIDER]
    world.resync.soon(PROVIDER)

    assert world.resync._due_s[PROVIDER] < later
    assert world.resync._due_s[PROVIDER] - world.clock.now() <= 2


async def test_kopfs_list_during_one_of_ours_is_followed_by_another(world: World) -> None:
    world.kube.put(PROVIDER, 5, "claude")
    await world.round()
    world.kube.on_list = lambda: world.resync.soon(PROVIDER)
    await world.resync._attempt(PROVIDER)
    assert 0 < world.resync._due_s[PROVIDER] - world.clock.now() <= 2

    world.kube.on_list = lambda: None
    await world.resync._attempt(PROVIDER)
    assert world.resync._due_s[PROVIDER] - world.clock.now() > 100


@pytest.mark.parametrize(
    ("status", "words"), [(404, "apply crds/"), (403, "not allowed"), (500, "500"), (0, "nobody there")]
)
def test_explain(status: int, words: str) -> None:
    assert words in explain(PROVIDER, ApiError(status, "Reason", "nobody there"))


def test_a_missing_core_resource_is_no_missing_crd() -> None:
    answer: Any = explain(SECRET, ApiError(404, "NotFound", "no"))

    assert "CRD" not in answer


async def test_a_list_that_hangs_holds_up_no_other(world: World) -> None:
    world.kube.put(PROVIDER, 50, "claude")
    world.kube.hanging.add(POD.plural)
    listing = asyncio.ensure_future(world.resync.run())
    try:
        await eventually(lambda: world.knows("claude"))
        world.kube.put(PROVIDER, 51, "late")
        world.resync.anew()
        await eventually(lambda: world.knows("claude", "late"))
    finally:
        listing.cancel()
        await asyncio.wait([listing])
    assert POD in world.resync.problems


async def test_a_slow_list_gets_more_time_with_each_try(world: World) -> None:
    world.kube.refusals[PROVIDER.plural] = ApiError(0, "TimeoutError", "no answer in time")
    for _ in range(6):
        await world.resync._attempt(PROVIDER)
    assert world.kube.timeouts_s == [5, 10, 20, 40, 60, 60]

    world.kube.refusals.clear()
    await world.resync._attempt(PROVIDER)
    await world.resync._attempt(PROVIDER)
    assert world.kube.timeouts_s[-2:] == [60, 5]


async def test_data_that_went_back_are_read_anew(world: World) -> None:
    world.kube.put(PROVIDER, 50, "claude")
    world.kube.put(PROVIDER, 51, "late")
    await world.round()
    del world.kube.objects[PROVIDER.plural, "shop", "late"]
    world.kube.put(PROVIDER, 7, "claude")
    await world.round()
    assert version(world) == "50", "without being told, an older version is a late one"

    world.resync.anew()
    assert set(world.resync._due_s.values()) == {world.clock.now()}
    await world.round()

    assert world.names() == {"claude"}
    assert version(world) == "7"


def version(world: World) -> str:
    held = world.store.get(PROVIDER, "shop", "claude")
    assert held is not None
    return str(held["metadata"]["resourceVersion"])
