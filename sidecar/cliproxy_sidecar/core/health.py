"""Probe results to healthy or not: thresholds on own probes, the fleet's word on all others.

What a probe is and when it is due is the prober's; whether one attempt succeeded has no say here (that is
`cooldown`'s).
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from cliproxy_api.snapshot import Provider
from cliproxy_api.state import FleetState

HOUR_S: Final = 3600.0
DAY_HOURS: Final = 24
"""`uptime_percent` is over the last 24 hours (design section 10)."""


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """One provider's health for people; instants are monotonic seconds."""

    healthy: bool
    last_check: float | None = None
    """None: this sidecar has not probed it."""
    last_success: float | None = None
    consecutive_failures: int = 0
    uptime_percent: float | None = None
    """Share of successful probes in the last 24 hours; None without probes."""
    error: str = ""
    """Why the last probe failed, if it did."""


@dataclass(slots=True)
class _Probed:
    """One provider's own probes. At most `DAY_HOURS` + 1 sums."""

    healthy: bool = True
    failures: int = 0
    """In a row."""
    successes: int = 0
    """In a row."""
    last_check: float | None = None
    last_success: float | None = None
    error: str = ""
    hours: deque[list[int]] = field(default_factory=deque)
    """[hour, probes, successes], the oldest first."""

    def count(self, now: float, *, ok: bool) -> None:
        hour = int(now // HOUR_S)
        if not self.hours or self.hours[-1][0] != hour:
            self.hours.append([hour, 0, 0])
        self.hours[-1][1] += 1
        self.hours[-1][2] += ok
        self.expire(now)

    def expire(self, now: float) -> None:
        while self.hours and self.hours[0][0] <= now // HOUR_S - DAY_HOURS:
            self.hours.popleft()


class Health:
    """Health of all providers as this sidecar sees it. `now` is monotonic seconds.

    The operator gives each provider's probe to one sidecar; cut off, a sidecar probes all of them itself.
    Unknown means healthy: nobody is shut out before a probe has failed.
    """

    def __init__(self, *, sidecar: str) -> None:
        self._sidecar = sidecar
        self._attached = False
        self._told = False
        """Whether there ever was a document."""
        self._providers: dict[str, Provider] = {}
        self._probed: dict[str, _Probed] = {}
        self._told_last: tuple[tuple[str, ...], dict[str, str]] | None = None
        self._told_unhealthy: frozenset[str] = frozenset()
        self._told_duties: frozenset[str] = frozenset()
        self._unhealthy: frozenset[str] = frozenset()
        self.is_all_well = True
        """No provider is unhealthy."""
        self._duties: frozenset[str] = frozenset()
        self.turn = 0
        """Grows with all that duties follow from, but the clock."""

    def healthy(self, provider_id: str) -> bool:
        """Return whether the provider may be a candidate."""
        return provider_id not in self._unhealthy

    @property
    def unhealthy(self) -> frozenset[str]:
        """Ids of the providers that are not."""
        return self._unhealthy

    def duties(self) -> frozenset[str]:
        """Return the ids of the providers that this sidecar is to probe now."""
        return self._duties

    def stands_in(self, provider_id: str) -> bool:
        """Return whether a probe is this sidecar's only as long as the fleet's word does not come."""
        return self._told and provider_id not in self._told_duties

    def configure(self, providers: tuple[Provider, ...]) -> None:
        """Take a new snapshot's providers; a changed address or check starts its verdict again."""
        before, self._providers = self._providers, {provider.id: provider for provider in providers}
        for provider_id in list(self._probed):
            old, new = before[provider_id], self._providers.get(provider_id)
            if new is None or (old.base_url, old.health_check) != (new.base_url, new.health_check):
                del self._probed[provider_id]
        self._decide()

    def adopt(self, state: FleetState) -> None:
        """Take the fleet's word: who is unhealthy, and whom this sidecar probes."""
        told = (state.unhealthy, state.probes)
        if told == self._told_last:
            return  # most documents are about a cooldown
        self._told, self._told_last = True, told
        self._told_unhealthy = frozenset(state.unhealthy)
        self._told_duties = frozenset(
            provider_id for provider_id, sidecar in state.probes.items() if sidecar == self._sidecar
        )
        self._decide()

    def attach(self, attached: bool) -> None:  # noqa: FBT001 - the one thing it says
        """Note whether the operator listens; if not, every provider's probe is this sidecar's."""
        self._attached = attached
        self._decide()

    def record(self, provider_id: str, *, ok: bool, now: float, error: str = "") -> bool:
        """Take the end of one probe; return the verdict after thresholds. An unknown provider is healthy."""
        provider = self._providers.get(provider_id)
        if provider is None:
            return True
        probed = self._own(provider_id)
        check = provider.health_check
        probed.count(now, ok=ok)
        probed.last_check = now
        if ok:
            probed.failures, probed.successes, probed.last_success = 0, probed.successes + 1, now
            probed.healthy = probed.healthy or probed.successes >= check.healthy_threshold
        else:
            probed.failures, probed.successes = probed.failures + 1, 0
            probed.healthy = probed.healthy and probed.failures < check.unhealthy_threshold
        probed.error = "" if ok else error
        self._decide()
        return probed.healthy

    def view(self, provider_id: str, now: float) -> ProviderHealth:
        """Return one provider's health for people."""
        probed = self._probed.get(provider_id)
        if probed is None:
            return ProviderHealth(self.healthy(provider_id))
        probed.expire(now)
        probes, successes = (sum(hour[column] for hour in probed.hours) for column in (1, 2))
        return ProviderHealth(
            healthy=self.healthy(provider_id),
            last_check=probed.last_check,
            last_success=probed.last_success,
            consecutive_failures=probed.failures,
            uptime_percent=100.0 * successes / probes if probes else None,
            error=probed.error,
        )

    def _own(self, provider_id: str) -> _Probed:
        """Return the own probes; a duty that is taken over begins with what the fleet thought."""
        if provider_id not in self._probed:
            self._probed[provider_id] = _Probed(healthy=provider_id not in self._told_unhealthy)
        return self._probed[provider_id]

    def _decide(self) -> None:
        self.turn += 1
        checked = {item.id for item in self._providers.values() if item.health_check.enabled}
        self._duties = frozenset(self._told_duties & checked if self._attached else checked)
        own = self._duties & self._probed.keys()
        failing = {provider_id for provider_id in own if not self._probed[provider_id].healthy}
        self._unhealthy = frozenset(failing | (self._told_unhealthy - own))
        self.is_all_well = not self._unhealthy
