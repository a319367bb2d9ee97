"""Doing less as people see it: the body of `GET /v0/operations/cache/stats`, and what the operator hears."""

from typing import Any

from cliproxy_api.report import Reused
from cliproxy_api.snapshot import Profile
from cliproxy_sidecar.core.cache.store import BYTES, EXPIRED, SIZE
from cliproxy_sidecar.proxy.reuse.redislink import RedisLink
from cliproxy_sidecar.proxy.reuse.shelf import FAR, LOCAL, Shelf


def cache_view(profile: Profile | None, shelf: Shelf) -> dict[str, Any]:
    """Return what is kept, found and shared; counts are since the start of the sidecar."""
    return {
        "cache": _cache(profile, shelf),
        "coalescing": _coalescing(profile, shelf),
        "batching": {
            "enabled": profile is not None and profile.batching is not None,
            "batches": shelf.batches.values.get((), 0),
            "requests": shelf.batched.values.get((), 0),
        },
    }


def reused(profile: Profile | None, shelf: Shelf) -> Reused | None:
    """Return what the operator is told; None while nothing of it is switched on."""
    if profile is None or not (profile.cache or profile.coalescing or profile.batching):
        return None
    hits, misses = shelf.hits.values, shelf.misses.values
    return Reused(
        entries=shelf.entries,
        bytes=shelf.held_bytes,
        hits=hits.get(LOCAL, 0),
        redis_hits=hits.get(FAR, 0),
        misses=misses.get(LOCAL, 0) - hits.get(FAR, 0),
        shared=shelf.shared.values.get((), 0),
        batches=shelf.batches.values.get((), 0),
        batched=shelf.batched.values.get((), 0),
    )


def _cache(profile: Profile | None, shelf: Shelf) -> dict[str, Any]:
    cache = profile.cache if profile is not None else None
    hits = {level: count for (level,), count in shelf.hits.values.items()}
    misses = {level: count for (level,), count in shelf.misses.values.items()}
    asked = sum(hits.values()) + misses.get("local", 0) - hits.get("redis", 0)
    evictions = shelf.store.evictions if shelf.store is not None else {SIZE: 0, BYTES: 0, EXPIRED: 0}
    return {
        "enabled": cache is not None,
        "entries": shelf.entries,
        "max_entries": cache.size if cache is not None else 0,
        "bytes": shelf.held_bytes,
        "max_bytes": cache.max_bytes if cache is not None else 0,
        "ttl_seconds": cache.ttl_s if cache is not None else 0.0,
        "hits": {"local": 0, **hits},
        "misses": {"local": 0, **misses},
        "hit_ratio": round(sum(hits.values()) / asked, 4) if asked else None,
        "evictions": dict(evictions),
        "redis": _redis(shelf.far),
    }


def _redis(far: RedisLink | None) -> dict[str, Any] | None:
    if far is None:
        return None
    return {
        "address": repr(far.address),
        "connected": far.connected,
        "late": far.late,
        "skipped": far.skipped,
        "errors": far.errors,
        "last_error": far.last_error,
    }


def _coalescing(profile: Profile | None, shelf: Shelf) -> dict[str, Any]:
    return {
        "enabled": profile is not None and profile.coalescing,
        "in_flight": len(shelf.flights),
        "callers_in_flight": sum(flight.callers for flight in shelf.flights.values()),
        "shared": shelf.shared.values.get((), 0),
    }
