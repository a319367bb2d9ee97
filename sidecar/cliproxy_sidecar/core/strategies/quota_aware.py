"""The target with the largest share of its limits left, so that none runs dry while others have room.

Counts the provider's own word (`allowances`), less what is on its way, and our own attempts against the
provider's `rateLimit`; the smaller share of the two counts. Own counts are this sidecar's only.
"""

from collections.abc import Sequence
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.snapshot import RateLimit
from cliproxy_api.vocabulary import Strategy as Name
from cliproxy_sidecar.core.allowances import Allowances
from cliproxy_sidecar.core.strategies.base import Facts, Preference, Seen, filled
from cliproxy_sidecar.core.target import Target, TargetId

TOLERANCE: Final = 0.05
"""Shares this close are equal."""
ENOUGH: Final = 0.25
"""With affinity: whoever has this share left is as good as any."""
SMOOTHING: Final = 0.1
_MINUTE_S: Final = 60.0


class _Bucket:
    """What we have used of a limit per minute; drains evenly, as providers' buckets fill."""

    __slots__ = ("at", "limit", "used")

    def __init__(self, limit: int, now: float) -> None:
        self.limit = limit
        self.used = 0.0
        self.at = now

    def left(self, now: float) -> float:
        """Return the share that is left, 0 to 1."""
        if now > self.at:
            self.used = max(self.used - self.limit * (now - self.at) / _MINUTE_S, 0.0)
            self.at = now
        return max(1.0 - self.used / self.limit, 0.0)

    def use(self, amount: int, now: float) -> None:
        self.left(now)
        self.used += amount


class QuotaAware:
    """Prefers the largest share left; whose limits are unknown counts as the mean."""

    name: Final = Name.QUOTA_AWARE.value
    unit: Final = "share_left"

    def __init__(self, allowances: Allowances) -> None:
        self._allowances = allowances
        self._in_flight: dict[TargetId, int] = {}
        self._tokens: dict[TargetId, float] = {}
        """Mean of an attempt."""
        self._own: dict[str, tuple[RateLimit, _Bucket | None, _Bucket | None]] = {}
        """By provider: its limits, our requests and our tokens."""

    def prefer(self, candidates: Sequence[Target], facts: Facts, now: float, _chance: Chance) -> Preference:
        """Return those with the most room."""
        values = tuple(self._left(target, now) for target in candidates)
        shares = filled(values)
        bound = max(shares) - TOLERANCE
        if facts.key is not None:
            bound = min(bound, ENOUGH)
        return Preference([place for place, share in enumerate(shares) if share >= bound], values)

    def began(self, target: Target, now: float) -> None:
        """Count an attempt that is on its way."""
        self._in_flight[target.id] = self._in_flight.get(target.id, 0) + 1
        requests, _ = self._buckets(target, now)
        if requests is not None:
            requests.use(1, now)

    def observe(self, target: Target, seen: Seen, now: float) -> None:
        """Count its tokens."""
        self._in_flight[target.id] = max(self._in_flight.get(target.id, 0) - 1, 0)
        if not seen.total_tokens:
            return
        before = self._tokens.get(target.id, float(seen.total_tokens))
        self._tokens[target.id] = before + SMOOTHING * (seen.total_tokens - before)
        _, tokens = self._buckets(target, now)
        if tokens is not None:
            tokens.use(seen.total_tokens, now)

    def figures(self, target: Target, now: float) -> dict[str, float | None]:
        """Return the share that is left of the tightest limit."""
        left = self._left(target, now)
        return {"share_left": None if left is None else round(left, 4)}

    def retain(self, known: frozenset[TargetId]) -> None:
        """Forget all other targets."""
        self._in_flight = {key: count for key, count in self._in_flight.items() if key in known}
        self._tokens = {key: mean for key, mean in self._tokens.items() if key in known}
        providers = {key[0] for key in known}
        self._own = {key: own for key, own in self._own.items() if key in providers}

    def _left(self, target: Target, now: float) -> float | None:
        in_flight = self._in_flight.get(target.id, 0)
        tokens = in_flight * self._tokens.get(target.id, 0.0)
        told = self._allowances.left(target.id, now, requests=in_flight, tokens=tokens)
        own = [bucket.left(now) for bucket in self._buckets(target, now) if bucket is not None]
        return min((share for share in (told, *own) if share is not None), default=None)

    def _buckets(self, target: Target, now: float) -> tuple[_Bucket | None, _Bucket | None]:
        limits = target.provider.rate_limit
        if limits is None:
            return (None, None)
        own = self._own.get(target.provider_id)
        if own is None or own[0] != limits:
            requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
            own = self._own[target.provider_id] = (
                limits,
                _Bucket(requests, now) if requests else None,
                _Bucket(tokens, now) if tokens else None,
            )
        return own[1:]
