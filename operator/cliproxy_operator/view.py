"""What the status builders see of the fleet: frozen values that `collect` makes at one instant.

Nothing here decides; `fleet` gives cooldowns and health, the links give sidecars and traffic.
"""

from dataclasses import dataclass
from datetime import datetime

from cliproxy_api.report import ProviderTraffic
from cliproxy_api.resources.llmprovider_status import CostStatus, QuotaStatus
from cliproxy_api.resources.proxyprofile import ConsumerSpent
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import FleetCooldown


@dataclass(frozen=True, slots=True, order=True)
class SidecarId:
    """One sidecar: a pod. Pods' names are unique within a namespace only."""

    namespace: str
    pod: str

    def __str__(self) -> str:
        """Return "namespace/pod", for logs."""
        return f"{self.namespace}/{self.pod}"

    def seen_from(self, namespace: str | None) -> str:
        """Return what a document for this namespace calls it: the pod, or in full, which no pod is called."""
        return self.pod if namespace in (None, self.namespace) else str(self)


@dataclass(frozen=True, slots=True)
class Lagging:
    """A sidecar that does not run the configuration wanted for it."""

    sidecar: SidecarId
    reason: str
    """`conditions.Reason`: SnapshotRefused, NotConnected, Pending, NotReady or ProfileNotFound."""
    message: str
    since_utc: datetime


@dataclass(frozen=True, slots=True)
class SidecarsView:
    """The sidecars that one object concerns: for a provider, those whose snapshot holds or should hold it."""

    total: int = 0
    ready: int = 0
    """Pods that Kubernetes calls ready."""
    present: int = 0
    """Those, and pods that are linked and not ready yet."""
    synced: int = 0
    """Sidecars whose `Running.digest` is the digest wanted for them."""
    ready_synced: int = 0
    """Sidecars that are both; `Ready` asks for all ready ones."""
    lagging: tuple[Lagging, ...] = ()
    """Those that are not synced, longest first; at most 10."""


@dataclass(frozen=True, slots=True)
class HealthView:
    """What active probes have told about one provider."""

    healthy: bool | None = None
    """The verdict after thresholds; None: no probe has ended, or none is sent."""
    last_check_utc: datetime | None = None
    last_success_utc: datetime | None = None
    consecutive_failures: int = 0
    error_count: int = 0
    """Failed probes of the last 24 hours."""
    uptime_percent: float | None = None
    """Share of the last 24 hours' probes that passed; None: there was none."""
    error: str = ""
    """Why the last probe failed, one line; empty if it passed."""


@dataclass(frozen=True, slots=True)
class ProviderView:
    """What the fleet knows about one provider now."""

    provider: Provider | None = None
    """As compiled; None: not in any snapshot (disabled or misconfigured)."""
    cooldowns: tuple[FleetCooldown, ...] = ()
    """Shared by the fleet, sorted by scope."""
    local_cooldowns: tuple[FleetCooldown, ...] = ()
    """Kept to one sidecar each by a policy with `scope: Sidecar`; `evidence.sidecar` names it."""
    recovered_utc: datetime | None = None
    """When a person last ended all cooldowns."""
    health: HealthView = HealthView()
    traffic: ProviderTraffic | None = None
    """All sidecars' last minute together; None: nobody has reported."""
    quota: QuotaStatus | None = None
    """Where the quota stands, as it is to be shown; None: there is none."""
    cost: CostStatus | None = None
    sidecars: SidecarsView = SidecarsView()
    reported: bool = False
    """Whether any sidecar that runs the provider is connected: before, health is Unknown."""
    silent_s: float | None = None
    """How long none of those that were connected has been; None: one is, or this leader has heard none."""
    awaited: bool = False
    """Whether a new leader has not heard all of them yet: what status says of sidecars and traffic stands."""


@dataclass(frozen=True, slots=True)
class PolicyView:
    """What a policy does at present."""

    providers: tuple[str, ...] = ()
    """Names of the providers that it is in force for, sorted."""
    active_cooldowns: int = 0
    trips_last_day: int = 0


@dataclass(frozen=True, slots=True)
class InjectionView:
    """Pods of one profile that ask for a sidecar by label."""

    current: int = 0
    """With the sidecar that a new pod would get."""
    stale: int = 0
    """With an older one."""
    missing: int = 0
    """Without."""
    worst: tuple[Lagging, ...] = ()
    """What lacks the current sidecar: missing ones first, oldest first; at most 10. `since_utc`: made."""


@dataclass(frozen=True, slots=True)
class ProfileView:
    """The sidecars that follow a profile."""

    sidecars: SidecarsView = SidecarsView()
    consumers: tuple[ConsumerSpent, ...] = ()
    """What the profile's consumers have spent, as it is to be shown."""
    injection: InjectionView | None = None
    """None: no pod asks for a sidecar, or nobody looks."""
    awaited: bool = False
    """Whether a new leader has not heard all of them yet: what status says of sidecars stands."""
    surveyed: bool = True
    """Whether pods have been looked at since this leader began: before, what status says of them stands."""
