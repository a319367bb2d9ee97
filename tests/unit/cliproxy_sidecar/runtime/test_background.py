"""Tasks and timers: nothing is lost, nothing spins."""

import asyncio
import logging

import pytest

from cliproxy_sidecar.runtime.tasks import Tasks
from cliproxy_sidecar.runtime.timers import WakeTimer


async def test_a_failed_task_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()

    async def fail() -> None:
        raise RuntimeError("planted")

    with caplog.at_level(logging.ERROR):
        await asyncio.gather(tasks.spawn(fail(), "failing"), return_exceptions=True)
        await asyncio.sleep(0)
    assert tasks.failures == 1
    assert "task failing failed" in caplog.text
    assert "RuntimeError: planted" in caplog.text


async def test_stopping_ends_everything_also_what_resists_at_first() -> None:
    tasks, ended = Tasks(), []

    async def resist() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            tasks.spawn(last(), "last words")
            raise

    async def last() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    tasks.spawn(resist(), "resisting")
    await asyncio.sleep(0)
    await tasks.stop()
    assert all(task is asyncio.current_task() for task in asyncio.all_tasks())
    assert ended == [True]


async def test_a_timer_fires_once_at_the_earliest_wish() -> None:
    fired = asyncio.Event()
    loop = asyncio.get_running_loop()
    timer = WakeTimer(loop, fired.set)
    timer.arm(1000.0, 0.0)
    timer.arm(0.01, 0.0)
    async with asyncio.timeout(5):
        await fired.wait()
    fired.clear()
    timer.arm(-5.0, 0.0)
    async with asyncio.timeout(5):
        await fired.wait()


async def test_a_timer_without_a_wish_stays_silent() -> None:
    fired: list[bool] = []
    timer = WakeTimer(asyncio.get_running_loop(), lambda: fired.append(True))
    timer.arm(0.0, 0.0)
    timer.arm(None, 0.0)
    timer.arm(0.0, 0.0)
    timer.cancel()
    await asyncio.sleep(0.02)
    assert fired == []
