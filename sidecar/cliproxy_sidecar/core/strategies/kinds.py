"""The strategy that a profile asks for; figures of the one before are kept where it asks for the same."""

from typing import assert_never

from cliproxy_api.snapshot import Profile
from cliproxy_api.vocabulary import Strategy as Name
from cliproxy_sidecar.core.allowances import Allowances
from cliproxy_sidecar.core.strategies.base import Strategy
from cliproxy_sidecar.core.strategies.cost import Cost
from cliproxy_sidecar.core.strategies.latency import Latency
from cliproxy_sidecar.core.strategies.quota_aware import QuotaAware
from cliproxy_sidecar.core.strategies.round_robin import RoundRobin


def strategy_of(profile: Profile, allowances: Allowances, previous: Strategy | None = None) -> Strategy:
    """Return the profile's strategy: the previous one itself if it would be no other."""
    if previous is not None and previous.name == profile.strategy.value:
        window_s = previous.window_s if isinstance(previous, Latency) else profile.latency_window_s
        if window_s == profile.latency_window_s:
            return previous
    match profile.strategy:
        case Name.ROUND_ROBIN:
            return RoundRobin()
        case Name.QUOTA_AWARE:
            return QuotaAware(allowances)
        case Name.LATENCY:
            return Latency(profile.latency_window_s)
        case Name.COST:
            return Cost()
        case _:
            assert_never(profile.strategy)
