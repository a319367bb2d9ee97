"""A coroutine without a task: what it may wait for, how it becomes a task, how it ends."""

import asyncio
import logging
from collections.abc import Coroutine

import pytest

from cliproxy_sidecar.runtime.light import Light, Signal, in_task
from cliproxy_sidecar.runtime.tasks import Tasks
from support.sidecar import eventually


class Run:
    """One coroutine being run, and what has become of it."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.signal = Signal()
        self.seen: list[object] = []
        self.ends = 0

    def end(self) -> None:
        self.ends += 1

    async def wait_twice(self) -> None:
        for number in range(2):
            await self.signal
            self.seen.append((number, asyncio.current_task()))

    def start(self, coroutine: Coroutine[object, object, None]) -> Light:
        light = Light(coroutine, "it", self.tasks, self.end)
        loop = asyncio.get_running_loop()
        # From a callback, as the server does it: there is no current task.
        loop.call_soon(light.go_on)
        return light


async def turns() -> None:
    """Let the loop run what is ready."""
    for _ in range(5):
        await asyncio.sleep(0)


async def set_from_a_callback(signal: Signal) -> None:
    """Set a signal as a protocol does."""
    asyncio.get_running_loop().call_soon(signal.set)
    await turns()


async def test_it_goes_on_with_each_signal_and_ends_once() -> None:
    run = Run()
    run.start(run.wait_twice())
    await turns()
    assert (run.seen, run.ends) == ([], 0)
    await set_from_a_callback(run.signal)
    assert (run.seen, run.ends) == ([(0, None)], 0)
    await set_from_a_callback(run.signal)
    assert (run.seen, run.ends) == ([(0, None), (1, None)], 1)
    await set_from_a_callback(run.signal)
    assert run.ends == 1


async def test_a_signal_nobody_waits_for_is_gone() -> None:
    run = Run()
    run.signal.set()
    run.start(run.wait_twice())
    await turns()
    assert run.seen == []


async def test_it_becomes_a_task_when_it_must_and_waits_for_signals_all_the_same() -> None:
    run = Run()

    async def both() -> None:
        await run.signal
        await in_task()
        run.seen.append(asyncio.current_task() is not None)
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        await in_task()
        await run.wait_twice()

    run.start(both())
    await turns()
    for _ in range(3):
        await set_from_a_callback(run.signal)
    await eventually(lambda: run.ends == 1, what="the end")
    assert [seen is True or seen[1] is not None for seen in run.seen] == [True] * 3  # type: ignore[index]


@pytest.mark.parametrize("as_task", [True, False])
async def test_cancelling_comes_out_of_what_it_waits_for(*, as_task: bool) -> None:
    run = Run()

    async def clean_up() -> None:
        if as_task:
            await in_task()
        try:
            await run.signal
        except asyncio.CancelledError:
            run.seen.append("cancelled")
            await run.signal
            run.seen.append("cleaned")
            raise

    light = run.start(clean_up())
    await turns()
    light.cancel()
    await turns()
    assert (run.seen, run.ends) == (["cancelled"], 0)
    await set_from_a_callback(run.signal)
    await turns()
    assert (run.seen, run.ends) == (["cancelled", "cleaned"], 1)
    assert run.tasks.failures == 0


async def test_a_failure_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    run = Run()

    async def fail() -> None:
        await run.signal
        raise ZeroDivisionError("planted")

    run.start(fail())
    await turns()
    with caplog.at_level(logging.ERROR):
        await set_from_a_callback(run.signal)
    assert (run.ends, run.tasks.failures) == (1, 1)
    assert "planted" in caplog.text


async def test_waiting_for_anything_else_outside_a_task_is_a_bug_of_its_own() -> None:
    run = Run()

    async def sleepy() -> None:
        with pytest.raises(RuntimeError, match="in_task"):
            await asyncio.get_running_loop().create_future()
        run.seen.append("told")

    run.start(sleepy())
    await turns()
    assert (run.seen, run.ends, run.tasks.failures) == (["told"], 1, 0)
