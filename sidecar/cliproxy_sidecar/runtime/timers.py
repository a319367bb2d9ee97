"""Arms one timer for the machines: they say when their answer may change by itself, this calls back then.

What to do then is the callback's business; machines never sleep.
"""

import asyncio
from collections.abc import Callable
from typing import Final

MIN_DELAY_S: Final = 0.005
"""A machine that is due at once, again and again, must not spin the loop."""


class WakeTimer:
    """One timer that follows the earliest wish."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._handle: asyncio.TimerHandle | None = None
        self._at = 0.0

    def arm(self, wake_at: float | None, now: float) -> None:
        """Call back at `wake_at` (monotonic seconds like `now`) instead of any time wished before."""
        if wake_at is not None and self._handle is not None and wake_at == self._at:
            return
        self.cancel()
        if wake_at is not None:
            self._at = wake_at
            self._handle = self._loop.call_later(max(wake_at - now, MIN_DELAY_S), self._fire)

    def cancel(self) -> None:
        """Call back no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._wake()
