"""kopf's settings: what must be set, and what must never be."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from cliproxy_operator import watch as watching
from cliproxy_operator.kinds import CUSTOM, NAMESPACE, PROVIDER, Resource
from cliproxy_operator.kube import ApiError
from cliproxy_operator.kubeconfig import Access
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings import read_settings
from cliproxy_operator.watch import RETRY_TOTAL_S, Backoffs, Watch, watched
from support.manualclock import ManualClock


async def everything(_resource: Resource) -> bool:
    return True


def make(serves: Callable[[Resource], Awaitable[bool]] = everything, **environment: str) -> Watch:
    return Watch(
        access=Access(server="http://127.0.0.1:1"),
        settings=read_settings({"CLIPROXY_CONTROL_TOKEN": "x" * 16, **environment}),
        clock=ManualClock(),
        metrics=Metrics(),
        listener=lambda _: None,
        serves=serves,
    )


def test_backoffs_can_be_used_again_and_again() -> None:
    backoffs = Backoffs(ManualClock())
    first, second = list(backoffs), list(backoffs)

    assert len(first) == len(second)
    assert sum(first) > RETRY_TOTAL_S / 2
    assert sum(first) < RETRY_TOTAL_S * 1.1
    assert max(itertools.chain(first, second)) <= 2.0
    assert not hasattr(backoffs, "__len__")


def test_settings_that_bite() -> None:
    settings = make()._kopf_settings()

    assert settings.queueing.worker_limit is None
    assert not settings.watching.initial_streaming
    assert not settings.posting.enabled
    assert not settings.scanning.disabled
    assert settings.watching.inactivity_timeout == 70
    assert settings.process.ultimate_exiting_timeout is None
    assert list(settings.watching.label_selectors.values()) == ["cliproxy.io/sidecar=true"]


def test_an_operator_of_some_namespaces_does_not_scan() -> None:
    assert make(CLIPROXY_NAMESPACES="shop")._kopf_settings().scanning.disabled


@pytest.mark.parametrize(("namespaces", "expected"), [("", True), ("shop", False)])
def test_namespaces_are_watched_only_if_all_are_served(namespaces: str, expected: bool) -> None:  # noqa: FBT001
    environment = {"CLIPROXY_CONTROL_TOKEN": "x" * 16, "CLIPROXY_NAMESPACES": namespaces}

    assert (NAMESPACE in watched(read_settings(environment))) is expected


async def test_kopf_looks_again_when_what_was_absent_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.001)
    known: set[Resource] = set(CUSTOM) - {PROVIDER}
    looks = 0

    async def serves(resource: Resource) -> bool:
        nonlocal looks
        looks += resource == PROVIDER
        if looks == 3:
            known.add(PROVIDER)
        return resource in known

    watch = make(serves)
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(watch, "restart", lambda: ended.set_result(None))

    absent = await watch._absent()
    assert absent == {PROVIDER}
    await watch._until(ended, absent)
    assert looks == 3
    assert await watch._absent() == frozenset()


async def test_kopf_waits_for_an_api_server_that_is_away_and_not_for_one_that_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "LOOK_S", 0.001)
    answers = [ApiError(0, "ClientConnectorError", "nobody there"), ApiError(503, "Unavailable", "starting")]

    async def serves(_resource: Resource) -> bool:
        if answers:
            raise answers.pop()
        raise ApiError(403, "Forbidden", "discovery is not for you")

    assert await make(serves)._absent() == frozenset(CUSTOM), "not known: looked at again"
    assert answers == []
