"""Kept answers in memory: the least recently used give way, by count and by bytes, and each has an end.

`now` is monotonic seconds. Which answers are kept and under which key is decided elsewhere.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from cliproxy_api.reuse import Cache
from cliproxy_sidecar.core.cache.entry import MAX_ENTRY_BYTES, Entry

SIZE: Final = "size"
BYTES: Final = "bytes"
EXPIRED: Final = "expired"


@dataclass(frozen=True, slots=True)
class _Slot:
    entry: Entry
    until: float
    size_bytes: int


class Store:
    """Entries by key, the least recently used first; never more than the bounds allow."""

    def __init__(self, bounds: Cache) -> None:
        self._bounds = bounds
        self._slots: OrderedDict[bytes, _Slot] = OrderedDict()
        self.held_bytes = 0
        """Of all entries."""
        self.evictions = {SIZE: 0, BYTES: 0, EXPIRED: 0}
        """By reason; replaced entries are none."""

    def __len__(self) -> int:
        return len(self._slots)

    def resize(self, bounds: Cache) -> None:
        """Take other bounds; entries keep the end that they have."""
        self._bounds = bounds
        self._make_room(0, bounds.size)

    def get(self, key: bytes, now: float) -> Entry | None:
        """Return a live entry, which becomes the most recently used."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        if slot.until <= now:
            self._drop(key, EXPIRED)
            return None
        self._slots.move_to_end(key)
        return slot.entry

    def put(self, key: bytes, entry: Entry, now: float, *, ttl_s: float | None = None) -> bool:
        """Keep an entry for `ttl_s` (None: the bounds' own); False: it is too large, or its time is over."""
        size_bytes = entry.size_bytes + len(key)
        ttl_s = self._bounds.ttl_s if ttl_s is None else min(ttl_s, self._bounds.ttl_s)
        if len(entry.body) > MAX_ENTRY_BYTES or size_bytes > self._bounds.max_bytes or ttl_s <= 0:
            return False
        before = self._slots.pop(key, None)
        if before is not None:
            self.held_bytes -= before.size_bytes
        self._drop_expired(now)
        self._make_room(size_bytes, self._bounds.size - 1)
        self._slots[key] = _Slot(entry, now + ttl_s, size_bytes)
        self.held_bytes += size_bytes
        return True

    def _drop_expired(self, now: float) -> None:
        """Drop the dead at the old end: they go before any that live."""
        while self._slots and next(iter(self._slots.values())).until <= now:
            self._drop(next(iter(self._slots)), EXPIRED)

    def _make_room(self, needed_bytes: int, at_most: int) -> None:
        while len(self._slots) > at_most:
            self._drop(next(iter(self._slots)), SIZE)
        while self._slots and self.held_bytes + needed_bytes > self._bounds.max_bytes:
            self._drop(next(iter(self._slots)), BYTES)

    def _drop(self, key: bytes, reason: str) -> None:
        self.held_bytes -= self._slots.pop(key).size_bytes
        self.evictions[reason] += 1
