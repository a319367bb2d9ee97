from __future__ import annotations

import asyncio
import logging

import pytest

from cliproxy_dev.tasks import Tasks


async def test_a_failure_is_logged_with_its_traceback_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()

    async def fail() -> None:
        raise ValueError("broken")

    with caplog.at_level(logging.ERROR):
        task = tasks.spawn(fail(), "doomed")
        await asyncio.wait([task])
        await tasks.stop()

    assert tasks.failures == 1
    assert "task doomed failed" in caplog.text
    assert "ValueError: broken" in caplog.text


async def test_stop_ends_everything_also_what_starts_meanwhile() -> None:
    tasks = Tasks()
    ended = []

    async def late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("late")

    async def early() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tasks.spawn(late(), "late")
            ended.append("early")

    tasks.spawn(early(), "early")
    await asyncio.sleep(0)
    await tasks.stop()

    assert ended[0] == "early"
    assert len(asyncio.all_tasks()) == 1
