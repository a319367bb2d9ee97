"""One key at a time, each only as often as needed, and again when it failed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from cliproxy_operator.clock import Clock
from cliproxy_operator.kube import ApiError
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.workqueue import WorkQueue


@asynccontextmanager
async def queue(
    work: Callable[[str], Awaitable[None]], *, workers: int = 8, defects: list[str] | None = None
) -> AsyncIterator[WorkQueue[str]]:
    tasks = Tasks()
    made: WorkQueue[str] = WorkQueue(
        work,
        name="test",
        clock=Clock(),
        tasks=tasks,
        workers=workers,
        on_defect=(defects if defects is not None else []).append,
    )
    tasks.spawn(made.run(), "queue")
    try:
        yield made
    finally:
        await tasks.stop()


async def test_a_key_added_often_is_worked_on_once() -> None:
    seen: list[str] = []
    done = asyncio.Event()

    async def work(key: str) -> None:
        seen.append(key)
        if key == "last":
            done.set()

    async with queue(work) as made:
        for _ in range(100):
            made.add("shop", 0.01)
        made.add("last", 0.05)
        await done.wait()

    assert seen == ["shop", "last"]


async def test_the_earlier_date_wins() -> None:
    done = asyncio.Event()

    async def work(_: str) -> None:
        done.set()

    async with queue(work) as made:
        made.add("shop", 3600)
        made.add("shop", 0.01)
        made.add("shop", 3600)
        async with asyncio.timeout(5):
            await done.wait()


async def test_a_key_is_never_worked_on_twice_at_a_time_but_again_if_added_meanwhile() -> None:
    running, most, turns = 0, 0, 0
    first, again = asyncio.Event(), asyncio.Event()

    async def work(_: str) -> None:
        nonlocal running, most, turns
        running, turns = running + 1, turns + 1
        most = max(most, running)
        if turns == 1:
            first.set()
            await asyncio.sleep(0.02)
        else:
            again.set()
        running -= 1

    async with queue(work) as made:
        made.add("shop")
        await first.wait()
        made.add("shop")
        async with asyncio.timeout(5):
            await again.wait()

    assert (most, turns) == (1, 2)


async def test_a_busy_key_does_not_hold_up_others() -> None:
    free, other = asyncio.Event(), asyncio.Event()

    async def work(key: str) -> None:
        await (free.wait() if key == "busy" else asyncio.sleep(0))
        if key == "other":
            other.set()

    async with queue(work) as made:
        made.add("busy")
        await asyncio.sleep(0)
        made.add("busy")
        made.add("other")
        async with asyncio.timeout(5):
            await other.wait()
        free.set()


async def test_no_more_workers_than_allowed() -> None:
    running, most = 0, 0
    done = asyncio.Event()

    async def work(key: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        if key == "19":
            done.set()

    async with queue(work, workers=3) as made:
        for number in range(20):
            made.add(str(number))
        async with asyncio.timeout(5):
            await done.wait()

    assert most == 3


@pytest.mark.parametrize("error", [ApiError(503, "ServiceUnavailable", "away"), KeyError("a defect")])
async def test_what_fails_is_tried_again(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    attempts = 0
    done = asyncio.Event()
    defects: list[str] = []

    async def work(_: str) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise error
        done.set()

    with caplog.at_level(logging.CRITICAL):
        async with queue(work, defects=defects) as made:
            made.add("shop")
            async with asyncio.timeout(5):
                await done.wait()

    assert attempts == 3
    assert defects == ([] if isinstance(error, ApiError) else ["test", "test"])


async def test_waiting_for_a_key_ends_with_work_that_began_afterwards() -> None:
    turns = 0
    begun, go = asyncio.Event(), asyncio.Event()

    async def work(_: str) -> None:
        nonlocal turns
        turns += 1
        begun.set()
        await go.wait()
        if turns == 2:
            raise ApiError(409, "Conflict", "again")

    async with queue(work) as made:
        made.add("shop")
        await begun.wait()
        waiting = asyncio.ensure_future(made.worked("shop", 5.0))
        await asyncio.sleep(0)
        go.set()

        assert await waiting
        assert turns == 3, "the one under way had begun before, and the second failed"


async def test_waiting_for_a_key_has_an_end() -> None:
    async def work(_: str) -> None:
        await asyncio.Event().wait()

    async with queue(work) as made:
        assert not await made.worked("shop", 0.01)
