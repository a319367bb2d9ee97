"""Runs a coroutine without a task for as long as it only waits for bytes; makes it a task when it must.

A task costs an object, a future per wait and a turn of the loop per wake-up. Most requests wait once, for the
provider's answer, and whoever receives that can go on with the request at once. So a coroutine that is run
here may wait for a `Signal` as it is; before anything else that the event loop offers (timers, locks,
`asyncio.timeout`) it says `await in_task()`, which costs nothing inside a task.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from cliproxy_sidecar.runtime.tasks import Tasks

_running: "Light | None" = None
"""Whose coroutine runs right now; None: a task's, or nobody's."""

_Waiting = Any
"""What a coroutine waits for: a `Signal`, a future, or None."""


class Signal:
    """Something that one coroutine at a time waits for; `set` lets it go on, at once if it is no task."""

    __slots__ = ("waiter",)

    def __init__(self) -> None:
        self.waiter: Light | asyncio.Future[None] | None = None
        """Who waits (the runner's business)."""

    def __await__(self) -> Generator[_Waiting, None, None]:
        """Wait for the next `set`; look again afterwards whether it is what you wait for."""
        if _running is not None:
            yield self
            return
        self.waiter = waiter = asyncio.get_running_loop().create_future()
        try:
            yield from waiter
        finally:
            self.waiter = None

    def set(self) -> None:
        """Let the one that waits go on. Call it last: it may run for a while before this returns."""
        waiter = self.waiter
        if waiter is None:
            return
        self.waiter = None
        if isinstance(waiter, Light):
            waiter.go_on()
        elif not waiter.done():
            waiter.set_result(None)


class _InTask:
    """See `in_task`."""

    __slots__ = ()

    def __await__(self) -> Generator[_Waiting, None, None]:
        if _running is not None:
            yield None


_IN_TASK: Final = _InTask()


def own_task() -> "asyncio.Task[Any] | None":
    """Return the task that the calling coroutine has become; None: none so far."""
    return None if _running is not None else asyncio.current_task()


def in_task() -> _InTask:
    """Return what to await before waiting for anything but a `Signal`: go on inside a task."""
    return _IN_TASK


class Light:
    """One coroutine on its way; `ended` is called once, when it has returned or failed."""

    __slots__ = ("_coroutine", "_ended", "_name", "_over", "_signal", "_task", "_tasks")

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], name: str, tasks: Tasks, ended: Callable[[], None]
    ) -> None:
        self._coroutine = coroutine
        self._name = name
        self._tasks = tasks
        self._ended = ended
        self._signal: Signal | None = None
        """What it waits for."""
        self._task: asyncio.Task[Any] | None = None
        self._over = False

    def go_on(self) -> None:
        """Run until the next wait, or to the end."""
        global _running  # noqa: PLW0603 -- one per thread of the loop, and there is one
        if self._over:
            return
        self._signal = None
        before, _running = _running, self
        try:
            waits_for = self._coroutine.send(None)
        except BaseException as end:  # noqa: BLE001 -- the one place where it comes out
            _running = before
            self._end(end)
        else:
            _running = before
            if isinstance(waits_for, Signal):
                self._signal = waits_for
                waits_for.waiter = self
            else:
                self._wait(waits_for)

    def cancel(self) -> None:
        """Let a `CancelledError` out of what it waits for. Not for use by the coroutine itself."""
        if self._task is not None:
            self._task.cancel()
            return
        if self._over:
            return
        if (signal := self._signal) is not None:
            signal.waiter = None
            self._signal = None
        self._throw(asyncio.CancelledError())

    def _throw(self, error: BaseException) -> None:
        global _running  # noqa: PLW0603 -- one per thread of the loop, and there is one
        before, _running = _running, self
        try:
            waits_for = self._coroutine.throw(error)
        except BaseException as end:  # noqa: BLE001 -- the one place where it comes out
            _running = before
            self._end(end)
        else:
            _running = before
            self._wait(waits_for)

    def _wait(self, waits_for: _Waiting) -> None:
        if isinstance(waits_for, Signal):
            self._signal = waits_for
            waits_for.waiter = self
        elif waits_for is None:
            self._task = self._tasks.spawn(self._coroutine, self._name)
            self._task.add_done_callback(lambda _: self._ended())
        else:
            self._throw(RuntimeError(f"waits for {waits_for!r} outside a task; see `in_task`"))

    def _end(self, end: BaseException) -> None:
        self._over = True
        if type(end) is not StopIteration and not isinstance(end, asyncio.CancelledError):
            self._tasks.failed(self._name, end)
        self._ended()
