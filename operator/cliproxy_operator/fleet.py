"""The fleet's decisions on cooldown and health: merges what all sidecars tell, hands out trials and probes.

Instants are aware UTC datetimes of the operator's clock, since deadlines are persisted in status. Nothing
here waits: `wake_at` says when to `tick`. One scope's way is in `fleet_scope`, counts of failures in
`fleet_window`, health in `fleet_health`, who tries and who probes in `fleet_duty`.
"""

from collections.abc import Mapping
from datetime import datetime

from cliproxy_api.chance import Chance
from cliproxy_api.report import Report
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import FleetCooldown, FleetState
from cliproxy_operator.view import HealthView, SidecarId


class Fleet:
    """Cooldowns and health of all providers, over all sidecars of all namespaces."""

    def __init__(self, *, chance: Chance) -> None:
        """Begin with nothing known; `chance` gives jitter."""
        raise NotImplementedError

    def configure(self, providers: Mapping[str, Provider], now_utc: datetime) -> bool:
        """Take the enabled and accepted providers, by id; return whether any state document changed.

        State of providers that are gone is dropped. A changed key ends the credential's Auth and QuotaMoney
        cooldowns; a changed address ends all that failures started.
        """
        raise NotImplementedError

    def restore(self, provider_id: str, status: LLMProviderStatus, now_utc: datetime) -> bool:
        """Take over cooldowns and health that an earlier leader wrote; after `configure`, before `hear`.

        `until` stays as it is written. Merges with what is known already; unknown providers are ignored.
        """
        raise NotImplementedError

    def present(self, sidecar: SidecarId, providers: frozenset[str], now_utc: datetime) -> bool:
        """Note that a sidecar's report stream is read, and which providers (ids) its snapshot holds."""
        raise NotImplementedError

    def gone(self, sidecar: SidecarId, now_utc: datetime) -> bool:
        """Note that a sidecar's stream has ended: its duties go to others."""
        raise NotImplementedError

    def hear(self, sidecar: SidecarId, report: Report, now_utc: datetime) -> bool:
        """Take one report; return whether any state document changed."""
        raise NotImplementedError

    def tick(self, now_utc: datetime) -> bool:
        """Move on what is due; return whether any state document changed."""
        raise NotImplementedError

    def wake_at(self) -> datetime | None:
        """Return when the next `tick` has something to do; None: not before something happens."""
        raise NotImplementedError

    def cooldown(self, provider_id: str, duration_s: float, reason: str, now_utc: datetime) -> bool:
        """Cool a whole provider because a person says so; False if it is not known."""
        raise NotImplementedError

    def recover(self, provider_id: str, now_utc: datetime) -> bool:
        """End all cooldowns of a provider at once, without trial or ramp; whether there were any."""
        raise NotImplementedError

    def state(self, namespace: str, providers: frozenset[str]) -> FleetState:
        """Return the document for a namespace's sidecars, whose snapshots hold these providers (ids).

        Sidecars are named by pod. One of another namespace appears as "namespace/pod", which no pod's name
        can equal.
        """
        raise NotImplementedError

    def cooldowns(self, provider_id: str) -> tuple[FleetCooldown, ...]:
        """Return a provider's cooldowns for status, sorted by scope."""
        raise NotImplementedError

    def local_cooldowns(self, provider_id: str) -> tuple[FleetCooldown, ...]:
        """Return cooldowns that a policy keeps to single sidecars, sorted by scope and sidecar."""
        raise NotImplementedError

    def health(self, provider_id: str, now_utc: datetime) -> HealthView:
        """Return what probes have told."""
        raise NotImplementedError

    def trips_last_day(self, provider_id: str, now_utc: datetime) -> int:
        """Return how many cooldowns of the provider began in the last 24 hours."""
        raise NotImplementedError
