"""The status of each object: what it should be now, whether and when that is worth a write.

One queue of objects; each is judged from the world as it is when its turn comes. Also takes what people ask
for by annotations, since the order matters: effect, status, and only then the annotation goes. The words are
`status/`'s, the writing is `apply.py`'s.
"""

import logging
from typing import Any, Final

import msgspec

from cliproxy_api.resources.alertrule import AlertRuleStatus
from cliproxy_api.resources.cooldownpolicy import CooldownPolicyStatus
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.resources.parse import ParseFailure
from cliproxy_api.resources.proxyprofile import ProxyProfileStatus
from cliproxy_operator import events
from cliproxy_operator.adopting import Adoptions
from cliproxy_operator.alerting import Alerting
from cliproxy_operator.apply import Writer
from cliproxy_operator.clock import Clock
from cliproxy_operator.collect import Collector, Group
from cliproxy_operator.exporting import Exporter
from cliproxy_operator.gather import RESOURCES, Gatherer, Parsed
from cliproxy_operator.host import FleetHost
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.keeping import SnapshotKeeper
from cliproxy_operator.leader import Leader
from cliproxy_operator.manual import Manual
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.reconcile import Reconciler, Result
from cliproxy_operator.spending import Spending
from cliproxy_operator.status.alertrule import merge_alertrule_status
from cliproxy_operator.status.others import merge_policy_status, merge_profile_status
from cliproxy_operator.status.phase import KNOWN, SILENCE
from cliproxy_operator.status.provider import merge_provider_status
from cliproxy_operator.status.writing import worth_writing
from cliproxy_operator.store import Store
from cliproxy_operator.survey import Survey
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.view import PolicyView, ProfileView, ProviderView
from cliproxy_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

SOON_S: Final = 0.01
"""Several causes of one moment become one write."""
PROGRESS_S: Final = 0.25
FIGURES_S: Final = 2.0
TRIPS_S: Final = 3600.0
"""The trips of a day are counted by the hour."""

Status = LLMProviderStatus | CooldownPolicyStatus | ProxyProfileStatus | AlertRuleStatus
_TYPES: Final[dict[Kind, type[Status]]] = {
    Kind.LLM_PROVIDER: LLMProviderStatus,
    Kind.COOLDOWN_POLICY: CooldownPolicyStatus,
    Kind.PROXY_PROFILE: ProxyProfileStatus,
    Kind.ALERT_RULE: AlertRuleStatus,
}


class Statuses:
    """The queue of objects whose status may have to change."""

    def __init__(
        self,
        *,
        store: Store,
        gatherer: Gatherer,
        reconciler: Reconciler,
        collector: Collector,
        host: FleetHost,
        spending: Spending,
        leader: Leader,
        writer: Writer,
        manual: Manual,
        keeper: SnapshotKeeper | None,
        alerting: Alerting,
        exporter: Exporter,
        survey: Survey,
        adoptions: Adoptions,
        clock: Clock,
        metrics: Metrics,
        tasks: Tasks,
    ) -> None:
        self._store = store
        self._gatherer = gatherer
        self._reconciler = reconciler
        self._collector = collector
        self._host = host
        self._spending = spending
        self._leader = leader
        self._writer = writer
        self._manual = manual
        self._keeper = keeper
        self._alerting = alerting
        self._exporter = exporter
        self._survey = survey
        self._adoptions = adoptions
        self._clock = clock
        self._metrics = metrics
        self._written_s: dict[ObjectKey, float] = {}
        self._began_s: float | None = None
        self.queue: WorkQueue[ObjectKey] = WorkQueue(
            self._work,
            name="status",
            clock=clock,
            tasks=tasks,
            on_defect=lambda name: metrics.loop_failures.labels(name).inc(),
        )

        self.sweeps: WorkQueue[str] = WorkQueue(
            self._sweep,
            name="sweep",
            clock=clock,
            tasks=tasks,
            on_defect=lambda name: metrics.loop_failures.labels(name).inc(),
        )
        """Namespaces whose objects are all to be judged: hundreds of pods come as one sweep."""

    def begin(self) -> None:
        """A new leader begins: what an earlier one wrote of figures is as good as written just now."""
        self._written_s.clear()
        self._manual.begin()
        self._began_s = self._clock.now()

    def look_at(self, key: ObjectKey, after_s: float = SOON_S) -> None:
        """Have an object's status judged."""
        self.queue.add(key, after_s)

    def look_at_all(self, namespace: str, after_s: float = SOON_S) -> None:
        """Have the status of all objects of a namespace judged, and of the providers lent to it."""
        self.sweeps.add(namespace, after_s)

    async def written(self, key: ObjectKey, within_s: float) -> bool:
        """Have the status written if more than figures changed; return whether it was, in that time."""
        end_s = self._clock.now() + within_s
        while await self.queue.worked(key, end_s - self._clock.now()):
            raw, new = self._store.get(RESOURCES[key.kind], key.namespace, key.name), self.now(key)
            if raw is None or new is None or not self._leader.may_write():
                return False
            now, last = self._clock.now(), self._written_s.get(key, self._began_s)
            at_s = worth_writing(self._previous(key, raw), new, last_write=last, now=now)  # type: ignore[type-var]
            if at_s is None or at_s > now:
                return True
        return False

    def now(self, key: ObjectKey) -> Status | None:
        """Return what the object's status should be at this moment, None if nothing can be said yet."""
        entry = self._gatherer.one(key)
        result = self._reconciler.results.get(key.namespace)
        if entry is None or result is None or not result.judged(key, entry.metadata.uid):
            return None
        return self._merge(key, entry, result)

    async def _sweep(self, namespace: str) -> None:
        for key in {*self._gatherer.keys(namespace), *self._reconciler.guests(namespace)}:
            self.queue.add(key)

    async def _work(self, key: ObjectKey) -> None:
        entry = self._gatherer.one(key)
        if entry is None:
            self._written_s.pop(key, None)
            self._manual.forget(key)
            self._writer.forget(key)
            self._adoptions.forget(key)
            return
        if not self._leader.may_write():
            return  # all objects are looked at again when a replica begins to lead
        raw = self._store.get(RESOURCES[key.kind], key.namespace, key.name)
        result = self._reconciler.results.get(key.namespace)
        if raw is None or result is None or not result.judged(key, entry.metadata.uid):
            return  # not compiled yet: looked at again when it is
        asked = self._manual.take(key, raw) if isinstance(entry, LLMProvider) else None
        await self._write(key, self._merge(key, entry, result))
        if asked is not None:
            await self._manual.settle(key, asked)

    async def _write(self, key: ObjectKey, new: Status) -> None:
        raw = self._store.get(RESOURCES[key.kind], key.namespace, key.name)
        if raw is None:
            return
        previous, now = self._previous(key, raw), self._clock.now()
        last = self._written_s.get(key, self._began_s)
        at_s = worth_writing(previous, new, last_write=last, now=now)  # type: ignore[type-var]
        if (awaited_s := self._collector.awaited_s(self._groups(key))) > 0:
            self.queue.add(key, awaited_s)  # what stands now need not then
        self._look_later(key, new)
        if at_s is None:
            return
        if at_s > now:
            self.queue.add(key, at_s - now)
            return
        if not await self._writer.status(key, raw, new):
            return
        self._written_s[key] = self._clock.now()
        if isinstance(new, LLMProviderStatus) and (
            previous is None or isinstance(previous, LLMProviderStatus)
        ):
            for event in events.provider_events(previous, new):
                await self._writer.post(key, raw, event)
        elif isinstance(new, AlertRuleStatus) and (previous is None or isinstance(previous, AlertRuleStatus)):
            for event in events.alertrule_events(previous, new):
                await self._writer.post(key, raw, event)

    def _look_later(self, key: ObjectKey, new: Status) -> None:
        """Have judged again by itself what time alone makes untrue."""
        if isinstance(new, CooldownPolicyStatus) and new.trips_last_day:
            self.queue.add(key, TRIPS_S)
        elif (
            isinstance(new, LLMProviderStatus)
            and new.phase in KNOWN
            and not self._collector.reported(self._groups(key))
        ):
            self.queue.add(key, SILENCE.total_seconds() + 1)

    def _groups(self, key: ObjectKey) -> tuple[Group, ...]:
        """Return the groups of sidecars that an object's status counts."""
        match key.kind:
            case Kind.LLM_PROVIDER:
                return self._reconciler.holders(key.id)
            case Kind.PROXY_PROFILE:
                return ((key.namespace, key.name),)
            case _:
                return ()

    def _previous(self, key: ObjectKey, raw: Any) -> Status | None:
        """Return the status that the API server holds; None if there is none or it cannot be read."""
        held = raw.get("status")
        if not held:
            return None
        try:
            return msgspec.convert(held, _TYPES[key.kind])
        except msgspec.ValidationError:
            return None

    def _merge(self, key: ObjectKey, entry: Parsed | ParseFailure, result: Result) -> Status:
        raw = self._store.get(RESOURCES[key.kind], key.namespace, key.name)
        previous: Any = self._previous(key, raw)
        status = self._judged(key, entry, result, previous)
        if isinstance(status, CooldownPolicyStatus):
            return status
        marker = self._adoptions.marker(key, previous.restored_from if previous is not None else None)
        return msgspec.structs.replace(status, restored_from=marker)

    def _judged(self, key: ObjectKey, entry: Parsed | ParseFailure, result: Result, previous: Any) -> Status:
        common: dict[str, Any] = {
            "generation": result.generations[key],
            "diagnostics": result.compiled.diagnostics.get(key, ()) + self._adoptions.trouble(key),
            "now_utc": self._clock.utc(),
        }
        match key.kind:
            case Kind.LLM_PROVIDER:
                enabled = entry.spec.enabled if isinstance(entry, LLMProvider) else True
                return merge_provider_status(
                    previous, enabled=enabled, view=self._provider(key, result, previous), **common
                )
            case Kind.COOLDOWN_POLICY:
                return merge_policy_status(previous, view=self._policy(key, result), **common)
            case Kind.PROXY_PROFILE:
                if self._keeper is not None:
                    common["diagnostics"] += self._keeper.trouble(key.namespace, key.name)
                group, survey = (key.namespace, key.name), self._survey
                view = ProfileView(
                    sidecars=self._collector.view([group]),
                    consumers=self._spending.consumers(key.namespace, key.name, previous),
                    injection=survey.groups.get(group),
                    awaited=self._collector.awaited_s([group]) > 0,
                    surveyed=not survey.pending,
                )
                return merge_profile_status(previous, view=view, **common)
            case Kind.ALERT_RULE:
                alerts, export = self._alerting.alerts(key), self._exporter.export(key)
                return merge_alertrule_status(previous, alerts=alerts, export=export, **common)

    def _provider(self, key: ObjectKey, result: Result, previous: LLMProviderStatus | None) -> ProviderView:
        groups = self._reconciler.holders(key.id)
        fleet = self._host.fleet
        provider = result.compiled.providers.get(key.id)
        quota, cost = self._spending.provider(key.id, provider, previous)
        return ProviderView(
            provider=provider,
            quota=quota,
            cost=cost,
            cooldowns=fleet.cooldowns(key.id),
            local_cooldowns=fleet.local_cooldowns(key.id),
            recovered_utc=fleet.recovered(key.id),
            health=fleet.health(key.id, self._clock.utc()),
            traffic=self._collector.traffic(key.id),
            sidecars=self._collector.view(groups, key.id),
            reported=self._collector.reported(groups),
            silent_s=self._collector.silent_s(groups),
            awaited=self._collector.awaited_s(groups) > 0,
        )

    def _policy(self, key: ObjectKey, result: Result) -> PolicyView:
        names = result.compiled.policy_users.get(key, ())
        ids = [f"{key.namespace}/{name}" for name in names]
        fleet, now_utc = self._host.fleet, self._clock.utc()
        return PolicyView(
            providers=tuple(names),
            active_cooldowns=sum(len(fleet.cooldowns(id_)) for id_ in ids),
            trips_last_day=sum(fleet.trips_last_day(id_, now_utc) for id_ in ids),
        )
