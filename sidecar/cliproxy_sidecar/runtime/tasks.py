"""Background tasks that are never lost: named, kept, logged when they fail, cancelled together.

What a failure means is left to the task's owner; loops that must live catch their own errors.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from cliproxy_sidecar.runtime.clock import now_s

log = logging.getLogger(__name__)

_LOOP_PAUSE_S = 1.0
"""Between a failure of a loop that must live and its next start: no busy loop of tracebacks."""


class Tasks:
    """Running tasks with one common end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failures = 0

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start `work` under `name`; a failure is logged with its traceback and counted."""
        task = asyncio.create_task(work, name=name)  # noqa: TID251 -- this is the place that keeps the reference
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def keep(self, loop_body: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[Any]:
        """Run a loop that must live: when it fails it is logged, counted and started again."""
        return self.spawn(self._keep(loop_body, name), name)

    async def _keep(self, loop_body: Callable[[], Awaitable[None]], name: str) -> None:
        while True:
            started_s = now_s()
            try:
                await loop_body()
            except Exception:
                self.failures += 1
                log.exception("%s failed; it is started again", name)
            await asyncio.sleep(max(0.0, started_s + _LOOP_PAUSE_S - now_s()))

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failed(task.get_name(), error)

    def failed(self, name: str, error: BaseException) -> None:
        """Count a failure and log it with its traceback."""
        self.failures += 1
        log.error("task %s failed", name, exc_info=error)

    async def stop(self) -> None:
        """Cancel everything and wait until it has ended."""
        while pending := list(self._tasks):
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            await asyncio.sleep(0)  # lets the done callbacks empty the set
