"""What sidecars have told, the latest of each; makes the frozen views that status is built from.

Bounded by the number of sidecar pods: one that is gone is forgotten, one whose link is down keeps its traffic
for a while. What reports mean for cooldowns is left to `host.py`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from cliproxy_api.conditions import Reason
from cliproxy_api.report import ProviderTraffic, Reused, Traffic
from cliproxy_api.snapshot import Running
from cliproxy_operator import bounded
from cliproxy_operator.clock import Clock
from cliproxy_operator.hitrate import HitRate
from cliproxy_operator.view import Lagging, SidecarId, SidecarsView

TRAFFIC_KEPT_S: Final = 30.0
AWAITED_S: Final = 10.0
"""So long a new leader takes status's word for sidecars that it has not heard yet."""
MAX_LAGGING: Final = 10

Group = tuple[str, str]
"""(namespace, profile): the sidecars that follow one snapshot."""
Behind = Callable[[Group, str], frozenset[str] | None]
"""Which providers a sidecar of a group does not run as wanted, by its digest; None: nothing is known."""


@dataclass(slots=True)
class Sidecar:
    """The latest of one sidecar."""

    id: SidecarId
    profile: str
    ready: bool
    since_utc: datetime
    """When it last began to lag behind, or was first seen."""
    linked: bool = False
    down_s: float = 0.0
    """When its link was lost; 0: this leader has had none."""
    trouble: str = ""
    running: Running = field(default_factory=Running)
    refused: tuple[str, str] | None = None
    """(digest, message) of the snapshot that it would not take."""
    traffic: Mapping[str, ProviderTraffic] = field(default_factory=dict)
    synced: bool = False
    reused: Reused | None = None
    """What it has not had to ask, as it last told."""
    hit_rate: HitRate = field(default_factory=HitRate)

    @property
    def group(self) -> Group:
        """Whose snapshot it follows."""
        return self.id.namespace, self.profile


class Collector:
    """All sidecars."""

    def __init__(
        self,
        *,
        clock: Clock,
        wanted: Callable[[str, str], str | None],
        behind: Behind = lambda _group, _digest: None,
    ) -> None:
        """`wanted` gives the digest for a namespace's profile, None if there is no snapshot."""
        self._clock = clock
        self._wanted = wanted
        self._behind = behind
        self._sidecars: dict[SidecarId, Sidecar] = {}
        self._members: dict[Group, dict[SidecarId, Sidecar]] = {}
        self._linked: dict[Group, set[SidecarId]] = {}
        self._pending: dict[Group, set[SidecarId]] = {}
        """Linked and not in sync."""
        self._awaited: dict[Group, set[SidecarId]] = {}
        """Known when this leader began, and not heard since."""
        self._awaited_until_s = 0.0
        self._views: dict[Group, SidecarsView] = {}
        self._traffic: dict[str, dict[SidecarId, ProviderTraffic]] = {}

    def begin(self) -> None:
        """A new leader begins: those that are known were linked with the one before, and soon are with us.

        What they told this replica when it led before says nothing of now: else they would have been silent
        ever since.
        """
        for known in self._sidecars.values():
            if not known.linked:
                known.down_s, known.trouble, known.running = 0.0, "", Running()
                self._judge(known)
        self._awaited_until_s = self._clock.now() + AWAITED_S
        self._awaited = {group: set(members) for group, members in self._members.items()}

    def awaited_s(self, groups: Iterable[Group]) -> float:
        """Return how long some of these groups' sidecars are waited for; 0: all are heard, or it is over."""
        left_s = self._awaited_until_s - self._clock.now()
        return left_s if left_s > 0 and any(self._awaited.get(group) for group in groups) else 0.0

    def seen(self, sidecar: SidecarId, *, profile: str, ready: bool) -> bool:
        """A pod is there; again for each change of it. Returns whether that changes any count."""
        known = self._sidecars.get(sidecar)
        if known is not None and (known.profile, known.ready) == (profile, ready):
            return False
        if known is None:
            known = Sidecar(sidecar, profile, ready, self._clock.utc())
            self._sidecars[sidecar] = known
        self._leave(known)
        known.profile, known.ready = profile, ready
        self._members.setdefault(known.group, {})[sidecar] = known
        self._judge(known)
        return True

    def forget(self, sidecar: SidecarId) -> None:
        """A pod is gone."""
        known = self._sidecars.pop(sidecar, None)
        if known is not None:
            self._leave(known)
            self._set_traffic(known, {})

    def linked(self, sidecar: SidecarId, running: Running) -> None:
        """A link stands."""
        if known := self._sidecars.get(sidecar):
            known.linked, known.trouble, known.running = True, "", running
            self._awaited.get(known.group, set()).discard(sidecar)
            self._judge(known)

    def lost(self, sidecar: SidecarId, trouble: str) -> bool:
        """A link is down; returns whether that, or why, is new."""
        known = self._sidecars.get(sidecar)
        if known is None or (not known.linked and known.trouble == trouble):
            return False
        if known.linked:
            known.down_s = self._clock.now()
        known.linked, known.trouble = False, trouble
        self._judge(known)
        return True

    def still_runs(self, sidecar: SidecarId, running: Running) -> bool:
        """A sidecar says what it runs; returns whether that is what it should run, and did before: no news.

        Hundreds say so at once, after each fleet state.
        """
        known = self._sidecars.get(sidecar)
        if known is None or not known.synced or known.running.digest != running.digest:
            return False
        if self._wanted(*known.group) != running.digest:
            return False
        known.running = running
        return True

    def runs(self, sidecar: SidecarId, running: Running) -> bool:
        """A sidecar says what it runs; returns whether that is news for any status."""
        known = self._sidecars.get(sidecar)
        if known is None:
            return False
        another, known.running = known.running.digest != running.digest, running
        return self._judge(known) or another

    def runs_now(self, sidecar: SidecarId) -> str:
        """Return the digest that a sidecar last said it runs; empty: none, or it is not known."""
        known = self._sidecars.get(sidecar)
        return known.running.digest if known is not None else ""

    def behind(self, sidecar: SidecarId) -> frozenset[str] | None:
        """Return the providers that a sidecar does not run as wanted; None: all, as far as is known."""
        known = self._sidecars.get(sidecar)
        return self._behind(known.group, known.running.digest) if known is not None else frozenset()

    def refuses(self, sidecar: SidecarId, digest: str, message: str) -> None:
        """A sidecar will not take the snapshot of this digest."""
        if known := self._sidecars.get(sidecar):
            known.refused = (digest, message)
            self._judge(known)

    def heard_traffic(self, sidecar: SidecarId, report: Traffic) -> None:
        """Take a sidecar's figures of the last minute."""
        if known := self._sidecars.get(sidecar):
            self._set_traffic(known, {id_: bounded.traffic(one) for id_, one in report.providers.items()})
            known.reused = bounded.reused(report.reused) if report.reused is not None else None
            if known.reused is not None:
                known.hit_rate.note(known.reused, self._clock.now())

    def republished(self, namespace: str) -> None:
        """The wanted digests of a namespace may have changed."""
        for known in self._sidecars.values():
            if known.id.namespace == namespace:
                self._judge(known)

    def expire(self) -> frozenset[str]:
        """Drop figures of sidecars whose links are down for long; returns the providers concerned."""
        limit_s = self._clock.now() - TRAFFIC_KEPT_S
        concerned: set[str] = set()
        for known in self._sidecars.values():
            if not known.linked and known.traffic and known.down_s < limit_s:
                concerned |= known.traffic.keys()
                self._set_traffic(known, {})
        return frozenset(concerned)

    def all(self) -> tuple[Sidecar, ...]:
        """Return all sidecars."""
        return tuple(self._sidecars.values())

    def group(self, sidecar: SidecarId) -> Group | None:
        """Return whose snapshot a sidecar follows, None if it is not known."""
        known = self._sidecars.get(sidecar)
        return known.group if known is not None else None

    def in_sync(self, group: Group) -> bool:
        """Whether there are linked sidecars in a group, and all of them run what they should."""
        return bool(self._linked.get(group)) and not self._pending.get(group)

    def traffic(self, provider_id: str) -> ProviderTraffic | None:
        """Return all sidecars' last minute of a provider together; None: nobody has reported."""
        parts = self._traffic.get(provider_id)
        return _sum(parts.values()) if parts else None

    def hit_ratio(self, groups: Iterable[Group]) -> float | None:
        """Return the share of the last minute's lookups that found an answer kept; None without any."""
        now, hits, lookups = self._clock.now(), 0, 0
        for group in groups:
            for known in self._members.get(group, {}).values():
                some = known.hit_rate.last_minute(now)
                hits, lookups = hits + some[0], lookups + some[1]
        return hits / lookups if lookups else None

    def reported(self, groups: Iterable[Group]) -> bool:
        """Whether any sidecar of these groups is linked."""
        return any(self._linked.get(group) for group in groups)

    def silent_s(self, groups: Iterable[Group]) -> float | None:
        """Return how long no sidecar of these groups has been linked; None: one is, or none ever was."""
        groups = tuple(groups)
        members = [known for group in groups for known in self._members.get(group, {}).values()]
        last_s = max((known.down_s for known in members), default=0.0)
        return self._clock.now() - last_s if last_s and not self.reported(groups) else None

    def view(self, groups: Iterable[Group], provider_id: str | None = None) -> SidecarsView:
        """Return the counts over these groups: as one provider sees them, or (None) whole snapshots."""
        views = [
            self._group(group) if provider_id is None else self._of_provider(group, provider_id)
            for group in groups
        ]
        lagging = sorted((lag for view in views for lag in view.lagging), key=lambda lag: lag.since_utc)
        return SidecarsView(
            total=sum(view.total for view in views),
            ready=sum(view.ready for view in views),
            present=sum(view.present for view in views),
            synced=sum(view.synced for view in views),
            ready_synced=sum(view.ready_synced for view in views),
            lagging=tuple(lagging[:MAX_LAGGING]),
        )

    def _group(self, group: Group) -> SidecarsView:
        view = self._views.get(group)
        if view is None:
            members = self._members.get(group, {}).values()
            view = self._views[group] = self._count(members, [known for known in members if not known.synced])
        return view

    def _of_provider(self, group: Group, provider_id: str) -> SidecarsView:
        """Return the counts for one provider, which an older snapshot may hold as it is wanted."""
        whole = self._group(group)
        if whole.synced == whole.total:
            return whole
        members = self._members.get(group, {}).values()
        late = [known for known in members if not known.synced and self._lacks(known, provider_id)]
        return self._count(members, late)

    def _lacks(self, known: Sidecar, provider_id: str) -> bool:
        behind = self._behind(known.group, known.running.digest)
        return behind is None or provider_id in behind

    def _count(self, members: Collection[Sidecar], late: list[Sidecar]) -> SidecarsView:
        ready = sum(known.ready for known in members)
        late.sort(key=lambda known: known.since_utc)
        return SidecarsView(
            total=len(members),
            ready=ready,
            present=sum(known.ready or known.linked for known in members),
            synced=len(members) - len(late),
            ready_synced=ready - sum(known.ready for known in late),
            lagging=tuple(self._lagging(known) for known in late[:MAX_LAGGING]),
        )

    def _leave(self, known: Sidecar) -> None:
        """Take a sidecar out of its group."""
        self._views.pop(known.group, None)
        for members in (self._linked, self._pending, self._awaited):
            members.get(known.group, set()).discard(known.id)
        group = self._members.get(known.group, {})
        group.pop(known.id, None)
        if not group:
            for table in (self._members, self._linked, self._pending, self._awaited):
                table.pop(known.group, None)

    def _judge(self, known: Sidecar) -> bool:
        self._views.pop(known.group, None)
        wanted = self._wanted(*known.group)
        synced = wanted is not None and known.running.digest == wanted
        if known.refused is not None and known.refused[0] != wanted:
            known.refused = None
        changed = synced != known.synced
        if changed and not synced:
            known.since_utc = self._clock.utc()
        known.synced = synced
        _put(self._linked, known, known.linked)
        _put(self._pending, known, known.linked and not synced)
        return changed

    def _lagging(self, known: Sidecar) -> Lagging:
        if self._wanted(*known.group) is None:
            reason, message = Reason.PROFILE_NOT_FOUND, f"there is no valid ProxyProfile {known.profile!r}"
        elif known.refused is not None:
            reason, message = Reason.SNAPSHOT_REFUSED, known.refused[1]
        elif not known.linked:
            reason, message = Reason.NOT_CONNECTED, known.trouble or "not connected yet"
        else:
            reason, message = Reason.PENDING, "has not taken the current configuration yet"
        return Lagging(sidecar=known.id, reason=reason, message=message, since_utc=known.since_utc)

    def _set_traffic(self, known: Sidecar, traffic: Mapping[str, ProviderTraffic]) -> None:
        for provider_id in known.traffic.keys() - traffic.keys():
            parts = self._traffic.get(provider_id, {})
            parts.pop(known.id, None)
            if not parts:
                self._traffic.pop(provider_id, None)
        for provider_id, figures in traffic.items():
            self._traffic.setdefault(provider_id, {})[known.id] = figures
        known.traffic = traffic


def _put(table: dict[Group, set[SidecarId]], known: Sidecar, belongs: bool) -> None:  # noqa: FBT001 -- what is put
    if belongs:
        table.setdefault(known.group, set()).add(known.id)
    else:
        table.get(known.group, set()).discard(known.id)


def _sum(parts: Iterable[ProviderTraffic]) -> ProviderTraffic:
    """Add up; the provider's own "remaining" is the least that anybody was told."""
    total = {
        "requests": 0,
        "errors": 0,
        "tokens": 0,
        "rate_limited": 0,
        "key_refusals": 0,
        "nano_usd": 0,
        "latency_sum_ms": 0,
    }
    buckets: dict[int, int] = {}
    remaining: dict[str, int | None] = {"remaining_requests": None, "remaining_tokens": None}
    for part in parts:
        for name in total:
            total[name] += getattr(part, name)
        for bound_ms, count in part.latency_buckets.items():
            buckets[bound_ms] = buckets.get(bound_ms, 0) + count
        for name, least in remaining.items():
            value = getattr(part, name)
            if value is not None and (least is None or value < least):
                remaining[name] = value
    return msgspec.structs.replace(ProviderTraffic(), **total, latency_buckets=buckets, **remaining)
