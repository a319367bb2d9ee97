"""Background tasks that are never lost: kept, named, logged when they fail, and ended together.

What a task does on failure beyond being logged and counted is left to its owner; `forever` is for loops that
must live.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

RESTART_BASE_S = 0.1
RESTART_MAX_S = 5.0
CANCEL_AGAIN_S = 0.1


class Tasks:
    """A set of running tasks with one common end."""

    def __init__(self, on_failure: Callable[[str], None] | None = None) -> None:
        """`on_failure` is told the name of each task that ended by an exception."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start `work` in the background under `name`; a failure is logged with its traceback."""
        task = asyncio.create_task(work, name=name)  # noqa: TID251 -- this is the place that keeps the reference
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def forever(self, work: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[Any]:
        """Run `work` again whenever it fails or returns, with a growing pause."""
        return self.spawn(self._forever(work, name), name)

    async def _forever(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        pause_s = RESTART_BASE_S
        while True:
            started_s = asyncio.get_running_loop().time()
            try:
                await work()
            except Exception:
                log.exception("loop failed; it is started again", extra={"loop": name})
                if self._on_failure is not None:
                    self._on_failure(name)
            if asyncio.get_running_loop().time() - started_s > RESTART_MAX_S:
                pause_s = RESTART_BASE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, RESTART_MAX_S)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task failed", exc_info=error, extra={"task": task.get_name()})
            if self._on_failure is not None:
                self._on_failure(task.get_name())

    async def stop(self) -> None:
        """Cancel everything else and wait until it ended."""
        while pending := self._tasks - {asyncio.current_task()}:
            for task in pending:
                task.cancel()
            # Again and again: libraries swallow a cancellation that meets the end of what they wait for.
            await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def happens(event: asyncio.Event, within_s: float | None) -> bool:
    """Wait for an event; False if it was not set within that time (None: however long it takes)."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def first_failure(*works: Coroutine[Any, Any, None]) -> None:
    """Run all until one fails, then cancel the others and raise what that one raised.

    No `asyncio.TaskGroup`: before Python 3.13 a group that fails leaves a request to cancel on the task that
    waited for it, and before 3.11.4 `asyncio.timeout` takes that for a cancellation from outside. A link that
    broke then ended for good, at the pause before its next try.
    """
    running = [asyncio.ensure_future(work) for work in works]
    try:
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        for task in running:
            if not task.cancelled():
                task.exception()  # those that came second are no news
    for task in ended:
        await task
