"""A world in virtual time for tests of choosing: scripted providers with speeds, limits, prices and caches.

Arrivals and ends are events on a heap; the real chooser, cooldowns and strategies decide in between. Nothing
waits and nothing is random but the seed.
"""

import heapq
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

from cliproxy_api.snapshot import Profile, Provider
from cliproxy_api.vocabulary import OutcomeClass, ScopeKind
from cliproxy_sidecar.core.allowances import Allowances
from cliproxy_sidecar.core.choice import Chosen, Wanted
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.dialect import Need
from cliproxy_sidecar.core.health import Health
from cliproxy_sidecar.core.outcome import SUCCESS, Outcome
from cliproxy_sidecar.core.permit import Permit
from cliproxy_sidecar.core.preference import Preferences
from cliproxy_sidecar.core.routing import RoutingTable
from cliproxy_sidecar.core.scopes import scopes_of
from cliproxy_sidecar.core.selection import Chooser
from cliproxy_sidecar.core.strategies.base import Facts
from cliproxy_sidecar.core.target import Target, TargetId
from cliproxy_sidecar.core.usage import Usage

START_UTC = datetime(2026, 11, 21, 12, tzinfo=UTC)
CACHE_S = 300.0
"""How long a provider keeps a prompt after its last use."""


@dataclass
class Behaviour:
    """How a provider answers."""

    latency_ms: Callable[[float, random.Random], float] = lambda _now, _chance: 500.0
    fails: Callable[[float, random.Random], bool] = lambda _now, _chance: False
    per_minute: int | None = None
    """Requests; a bucket that refills evenly, told in headers as OpenAI does."""
    cached_prompts: int = 10_000


@dataclass(frozen=True)
class Request:
    at: float
    facts: Facts
    output_tokens: int = 200


@dataclass
class Tally:
    """What came of the traffic."""

    served: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    cost_nano_usd: float = 0.0
    cache_hits: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    """429 by provider."""
    unserved: int = 0
    by_time: list[tuple[float, str]] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return sum(self.served.values())

    def share(self, name: str) -> float:
        return self.served[name] / self.answered

    @property
    def mean_ms(self) -> float:
        return sum(self.latencies_ms) / len(self.latencies_ms)


class Sim:
    """One sidecar's choosing over scripted providers."""

    def __init__(
        self,
        providers: Sequence[Provider],
        behaviours: dict[str, Behaviour],
        profile: Profile,
        *,
        seed: int = 7,
        heeds: bool = True,
    ) -> None:
        self._heeds = heeds
        """Whether headers are read."""
        self.chance = random.Random(seed)  # noqa: S311 -- reproducible, nothing secret
        self.behaviours = behaviours
        self.allowances = Allowances()
        self.cooldowns = Cooldowns(sidecar="sim", chance=self.chance)
        self.cooldowns.configure(tuple(providers), 0.0)
        health = Health(sidecar="sim")
        health.configure(tuple(providers))
        self.preferences = Preferences(profile, self.allowances, self.chance)
        self.chooser = Chooser(RoutingTable(tuple(providers)), self.cooldowns, health, self.preferences)
        self.tally = Tally()
        self._used: dict[str, tuple[float, float]] = {}
        self._cached: dict[str, OrderedDict[int, float]] = {one.name: OrderedDict() for one in providers}
        self._heap: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def run(self, requests: Iterable[Request]) -> Tally:
        """Serve the traffic to its end."""
        for request in requests:
            self._at(request.at, lambda now, one=request: self._choose(one, frozenset(), 0.0, now))
        while self._heap:
            now, _, act = heapq.heappop(self._heap)
            self.cooldowns.advance(now)
            act(now)
        assert self.cooldowns.outstanding == 0
        return self.tally

    def _at(self, when: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._order), act))

    def _choose(self, request: Request, tried: frozenset[TargetId], spent_ms: float, now: float) -> None:
        found = self.chooser.choose(Wanted("m", Need.CONVERSATION, tried, request.facts), now)
        if not isinstance(found, Chosen):
            self.tally.unserved += 1
            return
        target, name = found.target, found.target.provider.name
        self.preferences.strategy.began(target, now)
        behaviour = self.behaviours.get(name, Behaviour())
        refused_s = self._take(name, behaviour, now)
        latency_ms = 20.0 if refused_s is not None else behaviour.latency_ms(now, self.chance)
        broken = refused_s is None and behaviour.fails(now, self.chance)
        outcome = SUCCESS
        if refused_s is not None:
            outcome = Outcome(OutcomeClass.RATE_LIMITED, ScopeKind.CREDENTIAL_MODEL, refused_s, status=429)
            self.tally.refusals[name] += 1
        elif broken:
            outcome = Outcome(OutcomeClass.SERVER_ERROR, ScopeKind.MODEL, status=500)
        else:
            self._bill(request, target, now)

        def end(then: float) -> None:
            self._end(request, tried, spent_ms + latency_ms, (target, found.permit, outcome, now), then)

        self._at(now + latency_ms / 1000.0, end)

    def _end(
        self,
        request: Request,
        tried: frozenset[TargetId],
        spent_ms: float,
        attempt: tuple[Target, Permit, Outcome, float],
        now: float,
    ) -> None:
        target, permit, outcome, began = attempt
        name = target.provider.name
        self._tell(target, now)
        scopes = scopes_of(outcome, target.provider, target.credential.name, target.model.upstream_name)
        self.cooldowns.settle(permit, outcome, scopes, now)
        succeeded = outcome is SUCCESS
        usage = (
            Usage(input=request.facts.body_bytes // 4, output=request.output_tokens) if succeeded else Usage()
        )
        latency_ms = (now - began) * 1000.0
        self.preferences.ended(
            target, outcome, usage, latency_ms=latency_ms, stream=request.facts.stream, now=now
        )
        if succeeded:
            self.tally.served[name] += 1
            self.tally.latencies_ms.append(spent_ms)
            self.tally.by_time.append((now, name))
        else:
            self._choose(request, tried | {target.id}, spent_ms, now)

    def _bill(self, request: Request, target: Target, now: float) -> None:
        pricing, key = target.model.pricing, request.facts.key
        cache = self._cached[target.provider.name]
        hit = key is not None and cache.get(key, -1e9) > now - CACHE_S
        if key is not None:
            cache[key] = now
            cache.move_to_end(key)
        self.tally.cache_hits += hit
        if pricing is not None:
            price = pricing.cached_input if hit and pricing.cached_input is not None else pricing.input
            tokens = request.facts.body_bytes / 4
            self.tally.cost_nano_usd += (price * tokens + pricing.output * request.output_tokens) / 1e6

    # ------------------------------------------------------------------ limits
    def _take(self, name: str, behaviour: Behaviour, now: float) -> float | None:
        """Take one request out of the bucket; return the wait if it is empty."""
        if behaviour.per_minute is None:
            return None
        used = self._drained(name, behaviour.per_minute, now)
        if used + 1 > behaviour.per_minute:
            return (used + 1 - behaviour.per_minute) * 60.0 / behaviour.per_minute
        self._used[name] = (used + 1, now)
        return None

    def _drained(self, name: str, per_minute: int, now: float) -> float:
        used, at = self._used.get(name, (0.0, now))
        return max(used - per_minute * (now - at) / 60.0, 0.0)

    def _tell(self, target: Target, now: float) -> None:
        per_minute = self.behaviours.get(target.provider.name, Behaviour()).per_minute
        if per_minute is None or not self._heeds or not self.allowances.is_due(target.id, now):
            return
        used = self._drained(target.provider.name, per_minute, now)
        headers = [
            (b"x-ratelimit-limit-requests", str(per_minute).encode()),
            (b"x-ratelimit-remaining-requests", str(int(per_minute - used)).encode()),
            (b"x-ratelimit-reset-requests", f"{used * 60.0 / per_minute:.3f}s".encode()),
        ]
        self.allowances.read(target.id, headers, now, lambda: START_UTC + timedelta(seconds=now))


def arrivals(
    *, per_second: float, seconds: float, seed: int = 11, sessions: int = 0, prompt_bytes: int = 4000
) -> list[Request]:
    """Return traffic as gateways see it: independent arrivals, long-tailed sizes, sessions of many turns."""
    chance = random.Random(seed)  # noqa: S311 -- reproducible
    found: list[Request] = []
    now = 0.0
    while True:
        now += chance.expovariate(per_second)
        if now >= seconds:
            return found
        key = None
        if sessions:
            # Sessions come and go: at any time a tenth of them speaks.
            window = int(now / seconds * sessions * 0.9)
            key = (window + chance.randrange(max(sessions // 10, 1))) * 0x9E3779B97F4A7C15 % 2**64
        size = int(prompt_bytes * chance.lognormvariate(0.0, 0.6))
        output = int(min(200 * chance.lognormvariate(0.0, 0.8), 4000)) + 1
        found.append(Request(now, Facts(body_bytes=size, key=key), output))
