"""Snapshot Secrets: written when something changed, seldom, never by who does not lead, never too large."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from cliproxy_api import codec
from cliproxy_api.channel import DIGEST_ANNOTATION
from cliproxy_api.snapshot import Snapshot
from cliproxy_operator import keeping
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.keeping import SnapshotKeeper
from cliproxy_operator.kinds import Resource
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.publish import Publisher
from cliproxy_operator.settings import read_settings
from cliproxy_operator.tasks import Tasks
from support.cluster import eventually
from support.ears import Ears
from support.manualclock import ManualClock


class SecretKube:
    """Just enough of an API server for Secrets."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes = 0
        self.lists = 0

    async def list(
        self, resource: Resource, namespace: str | None, *, metadata_only: bool
    ) -> list[dict[str, Any]]:
        assert metadata_only, "they may be a megabyte each"
        assert resource.selector
        self.lists += 1
        return [{"metadata": secret["metadata"]} for secret in self.secrets.values()]

    async def apply(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], *, manager: str
    ) -> dict[str, Any]:
        self.writes += 1
        metadata = {**body["metadata"], "namespace": namespace, "name": name}
        self.secrets[namespace, name] = {**body, "metadata": metadata}
        return self.secrets[namespace, name]

    async def delete(self, resource: Resource, namespace: str, name: str) -> bool:
        self.writes += 1
        return self.secrets.pop((namespace, name), None) is not None


class Desk:
    """A keeper, what it reads, and what it writes to."""

    def __init__(self, tasks: Tasks) -> None:
        self.kube = SecretKube()
        self.leads = True
        self.profiles: set[str] | None = {"", "team-a"}
        self.told: list[tuple[str, str]] = []
        self.clock = ManualClock()
        settings = read_settings({})
        common: Any = {"clock": self.clock, "metrics": Metrics(), "tasks": tasks}
        self.publisher = Publisher(transport=None, **common)  # type: ignore[arg-type]
        self.publisher.listen(Ears())
        self.publisher.activate(3)
        self.keeper = SnapshotKeeper(
            kube=self.kube,  # type: ignore[arg-type]
            settings=settings,
            publisher=self.publisher,
            may_write=lambda: self.leads,
            profiles=lambda _: self.profiles,
            told=self.told.append,
            **common,
        )
        tasks.spawn(self.keeper.queue.run(), "queue")

    def publish(self, *profiles: str, note: str = "") -> None:
        made = {name: codec.seal(Snapshot(namespace=f"shop{note}")) for name in profiles}
        self.publisher.publish_snapshots("shop", made, {"shop/keys/key": Hidden("sk-planted")})
        self.keeper.published("shop")

    async def settle(self) -> None:
        """Let everything that is due within a minute be done."""
        for _ in range(40):
            self.clock.advance(keeping.PAUSE_S / 2)
            self.keeper.queue._wake.set()
            for _ in range(5):
                await asyncio.sleep(0)
        await eventually(self._idle, what="the queue is idle")

    async def _idle(self) -> bool:
        return not self.keeper.queue._running


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    tasks = Tasks()
    yield Desk(tasks)
    await tasks.stop()


def digest_of(desk: Desk, name: str) -> str:
    return str(desk.kube.secrets["shop", name]["metadata"]["annotations"][DIGEST_ANNOTATION])


async def test_what_is_published_is_kept_and_can_be_run(desk: Desk) -> None:
    desk.publish("", "team-a")
    desk.keeper.lead()
    await desk.settle()
    assert sorted(desk.kube.secrets) == [("shop", "cliproxy-snapshot"), ("shop", "cliproxy-snapshot-team-a")]
    secret = desk.kube.secrets["shop", "cliproxy-snapshot-team-a"]
    push = codec.decode_snapshot_push(gzip.decompress(base64.b64decode(secret["data"]["snapshot.json.gz"])))
    assert push.position.epoch == 3
    assert push.snapshot.digest == desk.publisher.wanted_digest("shop", "team-a")
    assert secret["type"] == "cliproxy.io/snapshot"


async def test_nothing_new_writes_nothing(desk: Desk) -> None:
    desk.publish("team-a")
    desk.keeper.lead()
    await desk.settle()
    for _ in range(5):
        desk.publish("team-a")
        await desk.settle()
    assert desk.kube.writes == 1
    desk.keeper.stand_by()
    desk.keeper.lead()
    await desk.settle()
    assert desk.kube.writes == 1, "a new leader compares digests"


async def test_a_burst_is_one_write(desk: Desk) -> None:
    desk.keeper.lead()
    await desk.settle()
    for number in range(50):
        desk.publish("team-a", note=str(number))
    await desk.settle()
    assert desk.kube.writes == 1
    assert digest_of(desk, "cliproxy-snapshot-team-a") == desk.publisher.wanted_digest("shop", "team-a")


async def test_a_replica_that_does_not_lead_writes_nothing(desk: Desk) -> None:
    desk.publish("team-a")
    await desk.settle()
    desk.leads = False
    desk.keeper.lead()
    await desk.settle()
    assert (desk.kube.writes, desk.kube.lists) == (0, 0)
    desk.leads = True
    await desk.settle()
    assert desk.kube.writes == 1


async def test_a_deleted_secret_is_written_again_at_the_next_look(desk: Desk) -> None:
    desk.publish("team-a")
    desk.keeper.lead()
    await desk.settle()
    desk.kube.secrets.clear()
    desk.clock.advance(2 * keeping.STOCK_S)
    await desk.settle()
    assert ("shop", "cliproxy-snapshot-team-a") in desk.kube.secrets


async def test_the_secret_of_a_gone_profile_is_deleted_and_that_of_an_idle_one_is_not(desk: Desk) -> None:
    desk.publish("", "team-a")
    desk.keeper.lead()
    await desk.settle()
    desk.publish("")
    await desk.settle()
    assert ("shop", "cliproxy-snapshot-team-a") in desk.kube.secrets, "its pods may come back"
    desk.profiles = None
    desk.publish("")
    await desk.settle()
    assert ("shop", "cliproxy-snapshot-team-a") in desk.kube.secrets, "nothing is known yet"
    desk.profiles = {""}
    desk.publish("")
    await desk.settle()
    assert sorted(desk.kube.secrets) == [("shop", "cliproxy-snapshot")]


async def test_one_that_is_too_large_is_said_and_not_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MAX_BYTES", 10)
    desk.publish("team-a")
    desk.keeper.lead()
    await desk.settle()
    assert desk.kube.secrets == {}
    assert desk.told == [("shop", "team-a")]
    (trouble,) = desk.keeper.trouble("shop", "team-a")
    assert trouble.reason == "SnapshotTooLarge"
    assert "fewer providers" in trouble.message
    monkeypatch.undo()
    desk.publish("team-a", note="smaller")
    await desk.settle()
    assert desk.keeper.trouble("shop", "team-a") == ()
    assert desk.told == [("shop", "team-a")] * 2
