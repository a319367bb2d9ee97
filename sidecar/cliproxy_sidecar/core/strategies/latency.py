"""The fastest target: means over the window that fade with age, slowed by errors.

A failed attempt costs the caller another one, so a latency counts 1 / (1 - error rate) times. A target that
little is known of is drawn to the mean of its competitors, and a small share of the requests goes to whom the
least is known of, so that a target that has become fast again is found out.
"""

from collections.abc import Sequence
from math import exp
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_api.vocabulary import Strategy as Name
from cliproxy_sidecar.core.strategies.base import Facts, Preference, Seen, filled, least
from cliproxy_sidecar.core.target import Target, TargetId

EXPLORED_SHARE: Final = 0.05
TOLERANCE: Final = 0.15
"""Within it latencies are equal: the noise of a few requests should not move all traffic."""
STICKY_TOLERANCE: Final = 0.5
"""With affinity: a warm prompt cache is worth that much."""
PRIOR_SAMPLES: Final = 2.0
"""The weight of the competitors' mean against a target's own samples."""
MAX_ERROR_RATE: Final = 0.95


class _Faded:
    """Sums of which older parts fade: after one window 37 % of them are left."""

    __slots__ = ("at", "count", "errors", "latency_ms", "successes")

    def __init__(self, now: float) -> None:
        self.at = now
        self.count = 0.0
        self.errors = 0.0
        self.successes = 0.0
        self.latency_ms = 0.0

    def fade(self, now: float, window_s: float) -> None:
        rest = exp(-(now - self.at) / window_s) if now > self.at else 1.0
        self.at = max(now, self.at)
        self.count *= rest
        self.errors *= rest
        self.successes *= rest
        self.latency_ms *= rest


class Latency:
    """Prefers the fastest; streams are compared by their first content, all else by the whole answer."""

    name: Final = Name.LATENCY.value
    unit: Final = "ms"

    def __init__(self, window_s: float) -> None:
        self.window_s: Final = window_s
        self._faded: dict[tuple[TargetId, bool], _Faded] = {}

    def prefer(self, candidates: Sequence[Target], facts: Facts, now: float, chance: Chance) -> Preference:
        """Return those within the tolerance of the fastest, or now and then the least known."""
        faded = [self._fresh(target.id, facts.stream, now) for target in candidates]
        values = _values(faded)
        if chance.random() < EXPLORED_SHARE:
            known = [0.0 if one is None else one.count for one in faded]
            return Preference((known.index(min(known)),), values, explores=True)
        tolerance = TOLERANCE if facts.key is None else STICKY_TOLERANCE
        return Preference(least(filled(values), tolerance), values)

    def began(self, target: Target, now: float) -> None:
        """Keep nothing."""

    def observe(self, target: Target, seen: Seen, now: float) -> None:
        """Take a success's latency, or count an error."""
        if not (seen.succeeded or seen.failed):
            return
        key = (target.id, seen.stream)
        one = self._faded.get(key)
        if one is None:
            one = self._faded[key] = _Faded(now)
        one.fade(now, self.window_s)
        one.count += 1.0
        if seen.failed:
            one.errors += 1.0
        else:
            one.successes += 1.0
            one.latency_ms += seen.latency_ms

    def figures(self, target: Target, now: float) -> dict[str, float | None]:
        """Return mean latencies in milliseconds and the error rate, as far as known."""
        whole, stream = (self._fresh(target.id, streams, now) for streams in (False, True))
        known = [one for one in (whole, stream) if one is not None]
        count = sum(one.count for one in known)
        return {
            "latency_ms": _mean_ms(whole),
            "first_content_ms": _mean_ms(stream),
            "error_rate": round(sum(one.errors for one in known) / count, 4) if count else None,
        }

    def retain(self, known: frozenset[TargetId]) -> None:
        """Forget all other targets."""
        self._faded = {key: one for key, one in self._faded.items() if key[0] in known}

    def _fresh(self, target: TargetId, stream: bool, now: float) -> _Faded | None:  # noqa: FBT001 -- half a key
        one = self._faded.get((target, stream))
        if one is not None:
            one.fade(now, self.window_s)
        return one


def _values(faded: Sequence[_Faded | None]) -> tuple[float | None, ...]:
    """Return expected milliseconds until a success."""
    means = [one.latency_ms / one.successes for one in faded if one is not None and one.successes > 0.0]
    prior_ms = sum(means) / len(means) if means else None
    return tuple(None if one is None else _expected_ms(one, prior_ms) for one in faded)


def _expected_ms(one: _Faded, prior_ms: float | None) -> float | None:
    if prior_ms is None:
        return None
    mean_ms = (one.latency_ms + PRIOR_SAMPLES * prior_ms) / (one.successes + PRIOR_SAMPLES)
    error_rate = one.errors / (one.count + PRIOR_SAMPLES)
    return mean_ms / (1.0 - min(error_rate, MAX_ERROR_RATE))


def _mean_ms(one: _Faded | None) -> float | None:
    return round(one.latency_ms / one.successes, 1) if one is not None and one.successes > 0.0 else None
