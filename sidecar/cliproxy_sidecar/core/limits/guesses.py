"""Who tries keys: addresses that have shown too many wrong ones are not listened to for a while.

An address and key that were right before stay welcome, so that a guesser behind a shared address locks nobody
out. This machine itself is never shut out: in a pod the neighbour's mistake is not ours. Bounded.
"""

from typing import Final

MAX_WRONG: Final = 10
"""Wrong keys in a window before an address is not listened to."""
WINDOW_S: Final = 60.0
MAX_ADDRESSES: Final = 4096
MAX_WELCOME: Final = 8192


class Guesses:
    """Wrong keys by address. `now` is monotonic seconds."""

    __slots__ = ("_welcome", "_wrong")

    def __init__(self) -> None:
        self._wrong: dict[str, tuple[float, int]] = {}
        """Address to the window's end and the count; the oldest windows first."""
        self._welcome: dict[tuple[str, bytes], None] = {}

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has shown a wrong key lately: nothing needs to be looked up or remembered."""
        return not self._wrong

    def shut_until(self, address: str, digest: bytes, now: float) -> float | None:
        """Return until when this key of this address is not listened to; None: it is."""
        self._forget(now)
        ends, count = self._wrong.get(address, (now, 0))
        if count < MAX_WRONG or ends <= now or (address, digest) in self._welcome:
            return None
        return ends

    def wrong(self, address: str, now: float) -> None:
        """Count a wrong key."""
        ends, count = self._wrong.pop(address, (0.0, 0))
        if ends <= now:
            ends, count = now + WINDOW_S, 0
        self._wrong[address] = (ends, count + 1)
        while len(self._wrong) > MAX_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]

    def right(self, address: str, digest: bytes) -> None:
        """Remember that this key came from this address and was right."""
        key = (address, digest)
        if key in self._welcome:
            return
        if len(self._welcome) >= MAX_WELCOME:
            del self._welcome[next(iter(self._welcome))]
        self._welcome[key] = None

    def _forget(self, now: float) -> None:
        """Drop one window that is over, so that the table empties as fast as it is asked."""
        first = next(iter(self._wrong), None)
        if first is not None and self._wrong[first][0] <= now:
            del self._wrong[first]
