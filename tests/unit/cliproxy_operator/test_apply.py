"""Writes of one who may have been stopped on the way: only while it leads, only over what it has judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_operator.apply import NotLeadingError, Writer
from cliproxy_operator.events import Event
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.kinds import PROVIDER, Resource
from cliproxy_operator.kube import ApiError
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.store import Store
from support.manualclock import ManualClock

KEY = ObjectKey(Kind.LLM_PROVIDER, "shop", "claude")
NEW = LLMProviderStatus(observed_generation=1)


class OneObject:
    """An API server with one provider, which counts its versions, and its Events."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.on_get: Callable[[], object] = lambda: None
        """Called while it is asked for, when it has been read."""
        self.statuses: list[Mapping[str, Any]] = []
        self.events: list[str] = []

    def raw(self) -> dict[str, Any]:
        return {"metadata": {"namespace": "shop", "name": "claude", "resourceVersion": str(self.version)}}

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        found = self.raw()
        self.on_get()
        return found

    async def create(self, resource: Resource, namespace: str | None, body: Mapping[str, Any]) -> None:
        self.events.append(body["message"])

    async def apply_status(
        self, resource: Resource, namespace: str, name: str, status: Mapping[str, Any], *, version: str
    ) -> dict[str, Any]:
        if version != str(self.version):
            raise ApiError(409, "Conflict", "it has changed")
        self.version += 1
        self.statuses.append(status)
        return self.raw()


class Case:
    def __init__(self, version: int) -> None:
        self.leads = True
        self.clock = ManualClock()
        self.kube = OneObject(version)
        self.store = Store(lambda _change: None)
        self.store.upsert(PROVIDER, self.kube.raw())
        self.writer = Writer(
            kube=self.kube,  # type: ignore[arg-type]
            store=self.store,
            clock=self.clock,
            metrics=Metrics(),
            may_write=lambda: self.leads,
            instance="op-1",
        )

    async def write(self) -> bool:
        judged = self.store.get(PROVIDER, "shop", "claude")
        assert judged is not None
        return await self.writer.status(KEY, judged, NEW)


async def test_a_status_is_written_and_the_store_is_as_new_as_the_answer() -> None:
    case = Case(7)
    assert await case.write()
    assert await case.write()
    assert (len(case.kube.statuses), case.kube.version) == (2, 9)


async def test_who_does_not_lead_writes_nothing() -> None:
    case = Case(7)
    case.leads = False
    with pytest.raises(NotLeadingError):
        await case.write()
    assert case.kube.statuses == []


@pytest.mark.parametrize("now", [8, 3], ids=["a-successor-wrote", "restored-from-a-backup"])
async def test_what_was_judged_from_another_version_is_not_written_but_judged_anew(now: int) -> None:
    case = Case(7)
    case.kube.version = now
    with pytest.raises(ApiError) as caught:
        await case.write()
    assert caught.value.passing
    assert case.kube.statuses == []
    assert await case.write()


async def test_an_event_that_overtakes_the_look_after_a_conflict_holds() -> None:
    case = Case(7)
    case.kube.version = 9

    def changed() -> None:
        case.kube.version = 10
        case.store.upsert(PROVIDER, case.kube.raw())

    case.kube.on_get = changed
    with pytest.raises(ApiError):
        await case.write()
    held = case.store.get(PROVIDER, "shop", "claude")
    assert held is not None
    assert held["metadata"]["resourceVersion"] == "10"


async def test_an_object_that_flaps_has_a_bounded_number_of_events() -> None:
    case = Case(7)
    for number in range(100):
        await case.writer.post(KEY, case.kube.raw(), Event("Warning", "CoolingDown", f"the {number}th"))
    assert case.kube.events == [f"the {number}th" for number in range(25)]

    other = ObjectKey(Kind.LLM_PROVIDER, "shop", "gpt")
    await case.writer.post(other, case.kube.raw(), Event("Warning", "CoolingDown", "another's"))
    assert case.kube.events[25:] == ["another's"]

    case.clock.advance(300)
    for words in ("x" * 2000, "too much again"):
        await case.writer.post(KEY, case.kube.raw(), Event("Normal", "Recovered", words))
    (last,) = case.kube.events[26:]
    assert len(last) == 1000
    assert last.endswith("x (75 Events since the last one were not posted)")

    case.writer.forget(KEY)
    await case.writer.post(KEY, case.kube.raw(), Event("Normal", "Accepted", "made again"))
    assert case.kube.events[27:] == ["made again"]
