"""What outlives a snapshot: kept answers, requests in flight, and the figures about them.

One per sidecar. What is asked of it is `front`'s; how much it may hold is the newest profile's.
"""

from typing import Final

from cliproxy_api.snapshot import Profile
from cliproxy_sidecar.core.cache.entry import Entry
from cliproxy_sidecar.core.cache.store import Store
from cliproxy_sidecar.proxy.reuse.flight import Flight
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.metrics import Counter, Gauge, Labels, Metrics

LOCAL: Final = ("local",)


class Shelf:
    """Kept answers and flights by key."""

    def __init__(self, metrics: Metrics) -> None:
        self.store: Store | None = None
        """None: no answer is kept."""
        self.flights: dict[bytes, Flight] = {}
        self._profile = ""
        self.hits = Counter("cliproxy_cache_hits", "Answers given again, by where they were kept.", "level")
        self.misses = Counter("cliproxy_cache_misses", "Answers looked for and not found.", "level")
        self.shared = Counter("cliproxy_coalesced_requests", "Requests answered by another's in flight.")
        self.batches = Counter("cliproxy_embedding_batches", "Joined embedding requests sent.")
        self.batched = Counter("cliproxy_batched_requests", "Embedding requests that were joined.")
        for counter in (self.hits, self.misses, self.shared, self.batches, self.batched):
            metrics.count(counter)
        evictions = Counter(
            "cliproxy_cache_evictions", "Kept answers dropped.", "reason", read=self._evictions
        )
        metrics.count(evictions)
        metrics.gauge(Gauge("cliproxy_cache_entries", "Answers kept.", read=lambda: {(): self.entries}))
        metrics.gauge(Gauge("cliproxy_cache_bytes", "Their bytes.", read=lambda: {(): self.held_bytes}))

    @property
    def entries(self) -> int:
        """How many answers are kept."""
        return len(self.store) if self.store is not None else 0

    @property
    def held_bytes(self) -> int:
        """What they take."""
        return self.store.held_bytes if self.store is not None else 0

    def configure(self, profile: Profile) -> None:
        """Take a new snapshot's bounds; what is kept stays, unless the profile is another."""
        cache = profile.cache
        if cache is None:
            self.store = None
        elif self.store is None or profile.name != self._profile:
            self.store = Store(cache)
        else:
            self.store.resize(cache)
        self._profile = profile.name

    def look_up(self, key: bytes) -> Entry | None:
        """Return a kept answer and count whether there was one."""
        if self.store is None:
            return None
        entry = self.store.get(key, now_s())
        (self.misses if entry is None else self.hits).add(LOCAL)
        return entry

    def keep(self, key: bytes, entry: Entry) -> None:
        """Keep an answer."""
        if self.store is not None:
            self.store.put(key, entry, now_s())

    def joined(self, requests: int) -> None:
        """Count a joined request."""
        self.batches.add(())
        self.batched.add((), requests)

    def _evictions(self) -> dict[Labels, int]:
        return {(reason,): count for reason, count in self.store.evictions.items()} if self.store else {}
