"""A de-duplicating queue of keys: level-based work, one key never twice at a time, tried again when it fails.

What the work is, is left to its owner; it reads the world itself, so a key added ten times is worked on once.
"""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from cliproxy_operator.clock import Clock
from cliproxy_operator.kube import ApiError
from cliproxy_operator.tasks import Tasks, happens

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 10.0


class WorkQueue(Generic[K]):
    """Keys and when each is due."""

    def __init__(
        self,
        work: Callable[[K], Awaitable[None]],
        *,
        name: str,
        clock: Clock,
        tasks: Tasks,
        workers: int = 8,
        on_defect: Callable[[str], None] | None = None,
    ) -> None:
        """At most `workers` keys are worked on at once; `on_defect` counts failures that are our own."""
        self._work = work
        self._name = name
        self._clock = clock
        self._tasks = tasks
        self._free = workers
        self._on_defect = on_defect
        self._due_s: dict[K, float] = {}
        self._order: list[tuple[float, int, K]] = []
        self._counter = 0
        self._running: set[K] = set()
        self._retry_s: dict[K, float] = {}
        self._waiting: dict[K, list[asyncio.Future[None]]] = {}
        """Who waits until the key has been worked on from the beginning."""
        self._wake = asyncio.Event()

    def add(self, key: K, after_s: float = 0.0) -> None:
        """Have the key worked on after that many seconds; an earlier date for it stays."""
        due_s = self._clock.now() + after_s
        if due_s >= self._due_s.get(key, float("inf")):
            return
        self._due_s[key] = due_s
        self._counter += 1
        heapq.heappush(self._order, (due_s, self._counter, key))
        self._wake.set()

    async def worked(self, key: K, within_s: float) -> bool:
        """Have the key worked on at once; return whether that has succeeded within so many seconds."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(done)
        self.add(key)
        await asyncio.wait({done}, timeout=within_s)
        if done.done():
            return True
        done.cancel()
        return False

    def idle(self) -> bool:
        """Whether nothing is due or under way."""
        return not self._due_s and not self._running

    async def run(self) -> None:
        """Work on what is due, until cancelled."""
        while True:
            self._wake.clear()
            pause_s = self._start_due()
            await happens(self._wake, pause_s)

    def _start_due(self) -> float | None:
        """Start what may start; return how long until the next is due, None: wait for a sign."""
        blocked: list[tuple[float, int, K]] = []
        pause_s: float | None = None
        while self._order and self._free:
            due_s, _, key = self._order[0]
            if self._due_s.get(key) != due_s:  # an earlier date has replaced this one
                heapq.heappop(self._order)
                continue
            if (left_s := due_s - self._clock.now()) > 0:
                pause_s = left_s
                break
            entry = heapq.heappop(self._order)
            if key in self._running:
                blocked.append(entry)
                continue
            del self._due_s[key]
            self._running.add(key)
            self._free -= 1
            self._tasks.spawn(self._attempt(key), f"{self._name} {key}")
        for entry in blocked:
            heapq.heappush(self._order, entry)
        return pause_s

    async def _attempt(self, key: K) -> None:
        waiting = self._waiting.pop(key, [])
        try:
            await self._work(key)
            self._retry_s.pop(key, None)
            while waiting:
                _settle(waiting.pop())
        except ApiError as error:
            self._again(key, str(error))
        except Exception as error:
            log.exception("work failed", extra={"queue": self._name, "key": str(key)})
            if self._on_defect is not None:
                self._on_defect(self._name)
            self._again(key, type(error).__name__)
        finally:
            if waiting:
                self._waiting.setdefault(key, []).extend(waiting)
            self._running.discard(key)
            self._free += 1
            self._wake.set()

    def _again(self, key: K, reason: str) -> None:
        pause_s = self._retry_s.get(key, RETRY_FIRST_S / 2) * 2
        self._retry_s[key] = pause_s = min(pause_s, RETRY_MAX_S)
        extra = {"queue": self._name, "key": str(key), "reason": reason, "pause_s": pause_s}
        log.log(logging.WARNING if pause_s > 1 else logging.INFO, "tried again later", extra=extra)
        self.add(key, pause_s * (0.5 + self._clock.chance.random() / 2))


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():  # whoever waited may have given up
        done.set_result(None)
