"""Following a collection through gaps: nothing is missed, nothing is asked for twice without need."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest

from cliproxy_dev import watching
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.watching import Changed, Listed, follow


def thing(version: int, name: str = "a") -> Json:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, version: int) -> Json:
    return {"type": kind, "object": thing(version)}


GONE = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}


class Script:
    """An API whose lists and streams are written down beforehand; ends with `Finished`."""

    def __init__(self, lists: list[int | Exception], streams: list[list[Json | Exception]]) -> None:
        self.lists, self.streams = lists, streams
        self.asked: list[str] = []

    async def get(self, _path: str) -> Json:
        self.asked.append("list")
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"metadata": {"resourceVersion": str(answer)}, "items": [thing(answer)]}

    async def watch(self, _path: str, *, resourceVersion: str, **_: Any) -> AsyncIterator[Json]:  # noqa: N803
        self.asked.append(f"watch {resourceVersion}")
        if not self.streams:
            raise Finished
        for item in self.streams.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item


class Finished(Exception):
    pass


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_RETRY_S", 0.0)


async def play(script: Script) -> list[str]:
    """Return what the consumer sees, in short."""
    seen = []
    with contextlib.suppress(Finished):
        async with contextlib.aclosing(follow(cast("KubeApi", script), "/things")) as changes:
            async for change in changes:
                match change:
                    case Listed(items):
                        seen.append(f"list of {len(items)}")
                    case Changed(kind, item):
                        seen.append(f"{kind} {item['metadata']['resourceVersion']}")
    return seen


async def test_a_stream_that_ends_is_resumed_where_it_was() -> None:
    script = Script([5], [[event("ADDED", 6), event("BOOKMARK", 9)], [event("DELETED", 10)]])

    assert await play(script) == ["list of 1", "ADDED 6", "DELETED 10"]
    assert script.asked == ["list", "watch 5", "watch 9", "watch 10"]


async def test_what_is_too_old_is_listed_again() -> None:
    script = Script([5, 20], [[event("MODIFIED", 6), GONE], [event("MODIFIED", 21)]])

    assert await play(script) == ["list of 1", "MODIFIED 6", "list of 1", "MODIFIED 21"]
    assert script.asked == ["list", "watch 5", "list", "watch 20", "watch 21"]


@pytest.mark.parametrize(
    "fault",
    [
        aiohttp.ClientConnectionError("cut"),
        TimeoutError("silent"),
        ApiError(503, "Unavailable", "later"),
    ],
)
async def test_a_cut_stream_is_resumed_without_a_list(fault: Exception) -> None:
    script = Script([5], [[event("ADDED", 6), fault], [event("MODIFIED", 7)]])

    assert await play(script) == ["list of 1", "ADDED 6", "MODIFIED 7"]
    assert script.asked == ["list", "watch 5", "watch 6", "watch 7"]


async def test_a_list_is_tried_until_it_is_answered() -> None:
    away = aiohttp.ClientConnectionError("refused")
    script = Script([away, ApiError(503, "x", "y"), 5], [])

    assert await play(script) == ["list of 1"]
    assert script.asked == ["list", "list", "list", "watch 5"]
