"""What outlives a snapshot: kept answers, requests in flight, and the figures about them.

One per sidecar. What is asked of it is `front`'s; how much it may hold is the newest profile's.
"""

from collections.abc import Mapping
from typing import Final

from cliproxy_api.reuse import Cache
from cliproxy_api.snapshot import Snapshot
from cliproxy_sidecar.core.cache.entry import Entry, from_wire, to_wire
from cliproxy_sidecar.core.cache.store import Store
from cliproxy_sidecar.proxy.reuse.flight import Flight
from cliproxy_sidecar.proxy.reuse.redislink import RedisAddress, RedisLink
from cliproxy_sidecar.runtime.clock import now_s, unix_now_s
from cliproxy_sidecar.runtime.finished import Labels
from cliproxy_sidecar.runtime.metrics import Counter, Gauge, Metrics
from cliproxy_sidecar.runtime.tasks import Tasks

LOCAL: Final = ("local",)
FAR: Final = ("redis",)
_NAMESPACE: Final = b"cliproxy:1:"
"""In front of all keys at a second level."""


class Shelf:
    """Kept answers and flights by key."""

    def __init__(self, metrics: Metrics, tasks: Tasks) -> None:
        self._tasks = tasks
        self.far: RedisLink | None = None
        """The second level; None: there is none."""
        self._prefix = b""
        self._ttl_s = 0.0
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
        troubles = Counter(
            "cliproxy_cache_redis_troubles",
            "Times that Redis did not help: answers too late, errors, questions not sent.",
            "kind",
            read=self._far_errors,
        )
        metrics.count(troubles)
        metrics.gauge(
            Gauge("cliproxy_cache_redis_connected", "1 while Redis is asked.", read=self._far_figures)
        )
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

    def configure(self, snapshot: Snapshot, secrets: Mapping[str, str]) -> None:
        """Take a new snapshot's bounds; what is kept stays, unless the profile is another."""
        profile = snapshot.profile
        cache = profile.cache
        self._prefix = _NAMESPACE + f"{snapshot.namespace}/{profile.name}:".encode()
        self._ttl_s = cache.ttl_s if cache is not None else 0.0
        self._reach(_address(cache, secrets))
        if cache is None:
            self.store = None
        elif self.store is None or profile.name != self._profile:
            self.store = Store(cache)
        else:
            self.store.resize(cache)
        self._profile = profile.name

    def look_up(self, key: bytes, max_age_s: float | None) -> Entry | None:
        """Return an answer kept here that is not older than this, and count whether there was one."""
        if self.store is None:
            return None
        entry = self.store.get(key, now_s())
        if entry is not None and max_age_s is not None and entry.age_s(unix_now_s()) > max_age_s:
            entry = None
        (self.misses if entry is None else self.hits).add(LOCAL)
        return entry

    async def look_further(self, key: bytes, max_age_s: float | None) -> Entry | None:
        """Return an answer that another sidecar kept, which is kept here as well from now on."""
        if self.far is None or self.store is None:
            return None
        value = await self.far.get(self._prefix + key.hex().encode())
        entry = from_wire(value) if value is not None else None
        if entry is not None:
            age_s = entry.age_s(unix_now_s())
            if age_s >= self._ttl_s or (max_age_s is not None and age_s > max_age_s):
                entry = None
            else:
                self.store.put(key, entry, now_s(), ttl_s=self._ttl_s - age_s)
        (self.misses if entry is None else self.hits).add(FAR)
        return entry

    def keep(self, key: bytes, entry: Entry) -> None:
        """Keep an answer."""
        if self.store is not None:
            self.store.put(key, entry, now_s())
        if self.far is not None:
            self.far.put(self._prefix + key.hex().encode(), to_wire(entry), self._ttl_s)

    def _reach(self, address: RedisAddress | None) -> None:
        """Have a link to this server, and to no other."""
        if self.far is not None:
            if self.far.address == address:
                return
            self.far.close()
        self.far = RedisLink(address, self._tasks) if address is not None else None

    def joined(self, requests: int) -> None:
        """Count a joined request."""
        self.batches.add(())
        self.batched.add((), requests)

    def _evictions(self) -> dict[Labels, int]:
        return {(reason,): count for reason, count in self.store.evictions.items()} if self.store else {}

    def _far_figures(self) -> dict[Labels, float]:
        return {(): float(self.far.connected)} if self.far is not None else {}

    def _far_errors(self) -> dict[Labels, int]:
        if self.far is None:
            return {}
        return {("late",): self.far.late, ("skipped",): self.far.skipped, ("error",): self.far.errors}


def _address(cache: Cache | None, secrets: Mapping[str, str]) -> RedisAddress | None:
    if cache is None or cache.redis is None:
        return None
    password = secrets[cache.redis.password] if cache.redis.password else ""
    return RedisAddress.of(cache.redis.url, password)
