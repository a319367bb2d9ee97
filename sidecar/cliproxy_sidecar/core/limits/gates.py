"""A provider's own limits, as a gate that attempts pass: rate, requests in flight, quota.

Kept below the provider's, so that it never has to refuse. A closed gate is no cooldown: it opens by itself at
a known instant, and no policy may force it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cliproxy_api.money import format_nano_usd, round_nano_usd
from cliproxy_api.report import Taken
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider, Quota, RateLimit
from cliproxy_api.state import WHOLE
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, QuotaUnit
from cliproxy_sidecar.core.limits.limiter import RECHECK_S, Hold, Limiter
from cliproxy_sidecar.core.limits.period import Period, Wall
from cliproxy_sidecar.core.limits.price import expected_nano_usd
from cliproxy_sidecar.core.permit import Blocked
from cliproxy_sidecar.core.target import Target

OWN_LIMIT_RANK: Final = 3
"""Behind everything that cools: our own limit is kept, whatever the last resort is."""


@dataclass(slots=True, eq=False)
class Passage:
    """One attempt's way through a gate; settled exactly once."""

    gate: "Gate"
    hold: Hold | None
    period: Period | None
    reserved: int = 0

    def settle(self, tokens: int, nano_usd: int, now: float, *, sent: bool = True) -> None:
        """Put what was used in the place of what was reserved; a second call changes nothing."""
        self.gate.settle(self, tokens, nano_usd, now, sent=sent)


class Gate:
    """The limits of one provider. `now` is monotonic seconds."""

    __slots__ = ("_attached", "_limiter", "_parts", "_quota", "_scope", "_sharers", "period", "provider")

    def __init__(self, provider: Provider, wall: Wall, now: float) -> None:
        self.provider = provider
        self._scope = Scope(provider=provider.id)
        self._limiter: Limiter | None = None
        self._quota: Quota | None = None
        self._sharers = 1
        self._parts: tuple[int | None, int | None] = (None, None)
        self.period: Period | None = None
        self._attached = False
        self.configure(provider, wall, now)

    def configure(self, provider: Provider, wall: Wall, now: float) -> None:
        """Keep this provider's limits; what was used stays used unless the period is another."""
        self.provider = provider
        limit, quota = provider.rate_limit, provider.quota
        if limit is None:
            self._limiter = None
        elif self._limiter is None:
            self._limiter = Limiter(limit)
            self._limiter.share(self._sharers)
            self._limiter.keep(*self._parts)
            self._limiter.attended = self._attached
        else:
            self._limiter.configure(limit)
        before = self._quota
        if quota is None:
            self.period = None
        elif before is None or (before.unit, before.reset) != (quota.unit, quota.reset):
            self.period = Period(quota.reset, wall, now)
        self._quota = quota

    def share(self, sharers: int) -> None:
        """Keep one part of so many of the rate."""
        self._sharers = max(sharers, 1)
        if self._limiter is not None:
            self._limiter.share(self._sharers)

    def keep(self, part: int | None, floor: int | None) -> None:
        """Keep this part of the rate (see `Limiter.keep`)."""
        self._parts = (part, floor)
        if self._limiter is not None:
            self._limiter.keep(part, floor)

    def attach(self, attached: bool) -> None:  # noqa: FBT001 -- the one thing it says
        """Note whether the operator listens: else only our part of what a quota had left may be used."""
        self._attached = attached
        if self._limiter is not None:
            self._limiter.attended = attached

    def taken(self, now: float) -> Taken | None:
        """Return what the fleet should know of our use of the rate."""
        return None if self._limiter is None else self._limiter.taken(now)

    def tell(self, used: int, until_utc: datetime, now: float) -> None:
        """Take the operator's word on what the fleet has used of the quota."""
        if self.period is not None:
            self.period.tell(used, until_utc, now)

    # --------------------------------------------------------------- attempts
    def limited(self, tokens: int, now: float) -> Blocked | None:
        """Return why an attempt of so many tokens must not pass by its rate; None: it may."""
        refused = None if self._limiter is None else self._limiter.refusal(tokens, now)
        if refused is None:
            return None
        reason = f"at our own limit of {refused.told}"
        return self._blocked(refused.until, OutcomeClass.RATE_LIMITED, reason)

    def exhausted(self, now: float) -> Blocked | None:
        """Return why the quota forbids any attempt; None: something is left."""
        quota, period = self._quota, self.period
        if quota is None or period is None:
            return None
        left = quota.limit - period.fleet(now)
        since = period.since_told(now)
        if since - period.reserved >= left:
            ends = period.ends(now)
            at = period.ends_utc.strftime("%Y-%m-%dT%H:%M:%SZ")
            reason = f"our own quota of {_told(quota)} is used up until {at}"
            return self._blocked(ends, OutcomeClass.QUOTA_LONG, reason)
        if since >= left:
            reason = f"requests in flight may use up the rest of our own quota of {_told(quota)}"
            return self._blocked(now + RECHECK_S, OutcomeClass.QUOTA_LONG, reason)
        if not self._attached and self._sharers > 1 and since > left // self._sharers:
            ends = period.ends(now)
            reason = f"our part of the quota of {_told(quota)} is used up while the operator is away"
            return self._blocked(min(ends, now + RECHECK_S), OutcomeClass.QUOTA_LONG, reason)
        return None

    def take(self, target: Target, tokens: int, now: float) -> Passage:
        """Let an attempt pass, room or not; the passage wants to be settled, once."""
        hold = None if self._limiter is None else self._limiter.take(tokens, now)
        passage = Passage(self, hold, self.period)
        if self.period is not None and self._quota is not None:
            match self._quota.unit:
                case QuotaUnit.REQUESTS:
                    passage.reserved = 1
                case QuotaUnit.TOKENS:
                    passage.reserved = tokens
                case QuotaUnit.USD:
                    passage.reserved = expected_nano_usd(tokens, target.model.pricing)
            self.period.reserve(passage.reserved)
        return passage

    def settle(self, passage: Passage, tokens: int, nano_usd: int, now: float, *, sent: bool) -> None:
        """End a passage (see `Passage.settle`)."""
        hold, period = passage.hold, passage.period
        passage.hold = passage.period = None
        if hold is not None:
            hold.settle(tokens, now, sent=sent)
        if period is None:
            return
        used = 0
        if sent and period is self.period and self._quota is not None:
            match self._quota.unit:
                case QuotaUnit.REQUESTS:
                    used = 1
                case QuotaUnit.TOKENS:
                    used = tokens
                case QuotaUnit.USD:
                    used = nano_usd
        period.settle(passage.reserved, used, now)

    def view(self, now: float) -> dict[str, object]:
        """Return the limits and what is used of them, for people."""
        told: dict[str, object] = {}
        if self._limiter is not None and self.provider.rate_limit is not None:
            requests, tokens = self._limiter.used(now)
            told["rate_limit"] = {
                **_limits(self.provider.rate_limit),
                "part_percent": round(self._limiter.part * 100 / WHOLE, 2),
                "requests_last_minute": requests,
                "tokens_last_minute": tokens,
                "in_flight": self._limiter.in_flight,
            }
        if self._quota is not None and self.period is not None:
            told["quota"] = {
                "unit": self._quota.unit.value,
                "limit": _shown(self._quota.limit, self._quota.unit),
                "used": _shown(self.period.used(now), self._quota.unit),
                "resets_at": self.period.ends_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        return told

    def _blocked(self, until: float, outcome_class: OutcomeClass, reason: str) -> Blocked:
        return Blocked(until, self._scope, CooldownPhase.COOLING, outcome_class, reason, rank=OWN_LIMIT_RANK)


def _limits(limit: RateLimit) -> dict[str, int | None]:
    return {
        "requests_per_minute": limit.requests_per_minute,
        "tokens_per_minute": limit.tokens_per_minute,
        "max_concurrent": limit.max_concurrent,
    }


def _told(quota: Quota) -> str:
    if quota.unit is QuotaUnit.USD:
        return f"{format_nano_usd(quota.limit)} USD {quota.reset.value}"
    return f"{quota.limit} {quota.unit.value} {quota.reset.value}"


def _shown(amount: int, unit: QuotaUnit) -> int | str:
    return format_nano_usd(round_nano_usd(max(amount, 0), decimals=6)) if unit is QuotaUnit.USD else amount
