"""Hosts the alerts: judges every rule on a timer, hands what channels are owed to their queue, tries again.

One key per rule and channel, one message at a time, made when it is sent: a slow or failing receiver holds up
its own channel only, and nothing piles up. Runs while this replica leads; what it must not forget is in each
rule's status. What is decided is `alerts`', how it is sent `notify`'s.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cliproxy_api.resources.alertrule import AlertRule, Notification
from cliproxy_api.vocabulary import AlertState, Delivery
from cliproxy_operator.adopting import Adoptions
from cliproxy_operator.alerts.message import build
from cliproxy_operator.alerts.owed import Owed
from cliproxy_operator.alerts.restoring import adopt, restore
from cliproxy_operator.alerts.rule import RuleAlerts, Told
from cliproxy_operator.clock import Clock
from cliproxy_operator.collect import Collector
from cliproxy_operator.compile_alerts import references, secret_of
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.kinds import ALERT_RULE
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.notify.channels import Channels, kind_of
from cliproxy_operator.notify.outcome import Delivered, Later, Outcome
from cliproxy_operator.readings import Readings
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.spending import Spending
from cliproxy_operator.store import Store, name_of
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.validate import is_refused
from cliproxy_operator.vault import Vault
from cliproxy_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
"""Durations are told in seconds at least; figures come about as often."""
WARM_UP_S: Final = 10.0
"""So long at most a new leader waits for its sidecars' links before it judges by what they tell."""
RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 300.0
BLOCKED_S: Final = 3600.0
"""Until the next try at a channel that only a person can mend; a changed rule or Secret ends the wait."""
SENDERS: Final = 256
"""Messages under way at once, one per channel: far more than receivers that hang at a time."""
ENDED_KEPT_S: Final = 600.0
"""So long the channels of a deleted rule may take to hear that its alerts are over."""

ChannelKey = tuple[str, str]
"""(uid of the rule, name of the channel)."""


@dataclass(slots=True)
class _Trouble:
    """Why and how long a channel is left alone."""

    tries: int = 0
    until_s: float = 0.0
    cause: tuple[object, ...] = ()
    """What the failure may depend on: another rule or Secret is worth a try at once."""


@dataclass(slots=True)
class _Ruling:
    """One rule at work."""

    key: ObjectKey
    rule: AlertRule
    alerts: RuleAlerts
    secrets: Mapping[str, Hidden] = field(default_factory=dict)
    troubles: dict[str, _Trouble] = field(default_factory=dict)
    ended_s: float | None = None
    """Since when the rule is deleted; None: it is there."""

    def channel(self, name: str) -> Notification | None:
        """Return a channel of the rule as it is in force."""
        return next((one for one in self.alerts.spec.notifications if one.name == name), None)


class Alerting:
    """All rules of all namespaces."""

    def __init__(
        self,
        *,
        store: Store,
        gatherer: Gatherer,
        reconciler: Reconciler,
        collector: Collector,
        spending: Spending,
        vault: Vault,
        adoptions: Adoptions,
        channels: Channels,
        may_write: Callable[[], bool],
        clock: Clock,
        metrics: Metrics,
        tasks: Tasks,
        on_change: Callable[[ObjectKey], None],
    ) -> None:
        """`on_change` is told each rule whose status may have to change; who may not write tells nobody."""
        self._store = store
        self._gatherer = gatherer
        self._reconciler = reconciler
        self._collector = collector
        self._spending = spending
        self._vault = vault
        self._adoptions = adoptions
        self._channels = channels
        self._may_write = may_write
        self._clock = clock
        self._metrics = metrics
        self._on_change = on_change
        self._rulings: dict[str, _Ruling] = {}
        self._uids: dict[ObjectKey, str] = {}
        self._began_s: float | None = None
        self._warm = False
        self.queue: WorkQueue[ChannelKey] = WorkQueue(
            self._tell,
            name="notify",
            clock=clock,
            tasks=tasks,
            workers=SENDERS,
            on_defect=lambda name: metrics.loop_failures.labels(name).inc(),
        )

    def reset(self) -> None:
        """Forget everything, as before a new leadership: what counts is in status."""
        self._rulings.clear()
        self._uids.clear()
        self._metrics.alerts.clear()
        self._metrics.notifications_waiting.clear()
        self._began_s, self._warm = None, False

    def alerts(self, key: ObjectKey) -> RuleAlerts | None:
        """Return a rule's alerts, None if it has not been judged yet."""
        ruling = self._rulings.get(self._uids.get(key, ""))
        return ruling.alerts if ruling is not None else None

    @property
    def knows(self) -> bool:
        """Whether this replica leads and has heard its sidecars: then its figures are the fleet's."""
        return self._reconciler.active and self._warm and self._may_write()

    def readings(self, asked: Iterable[str]) -> Readings:
        """Return what is known of providers at this moment, as far as the metrics `asked` for need it."""
        return Readings(
            store=self._store,
            gatherer=self._gatherer,
            reconciler=self._reconciler,
            collector=self._collector,
            spending=self._spending,
            asked=asked,
        )

    async def run(self) -> None:
        """Judge, again and again, until cancelled."""
        while True:
            if self._reconciler.active and self._may_write():
                self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Judge every rule once and queue what is owed."""
        if not self._is_warm():
            return
        keys = {ObjectKey(Kind.ALERT_RULE, *name_of(raw)): None for raw in self._store.all(ALERT_RULE)}
        if not keys and not self._rulings:
            return
        now = self._clock.utc()
        for key in keys:
            self._take(key, now)
        for key in [key for key in self._uids if key not in keys]:
            self._retire(key, now)
        asked = {metric for ruling in self._rulings.values() for metric in ruling.alerts.metrics}
        seen = self.readings(asked)
        for uid, ruling in list(self._rulings.items()):
            if ruling.ended_s is None:
                chosen = seen.selected(ruling.rule, ruling.alerts)
                if ruling.alerts.judge(chosen, now):
                    self._on_change(ruling.key)
                self._count(ruling)
            self._queue(uid, ruling, now)
            if ruling.ended_s is not None and self._is_done(ruling):
                del self._rulings[uid]
                self._forget_counts(ruling)

    # ------------------------------------------------------------------ rules come and go

    def _take(self, key: ObjectKey, now: datetime) -> None:
        """Take the rule as it is now; one that is refused goes on as it last was accepted."""
        entry = self._gatherer.one(key)
        result = self._reconciler.results.get(key.namespace)
        if not isinstance(entry, AlertRule) or result is None or not result.judged(key, entry.metadata.uid):
            return
        if is_refused(result.compiled.diagnostics.get(key, ())):
            return
        if result.generations[key] != entry.metadata.generation:
            return  # compiled anew in a moment
        uid = entry.metadata.uid
        if self._uids.get(key, uid) != uid:
            self._retire(key, now)
        ruling = self._rulings.get(uid)
        if ruling is None:
            ruling = _Ruling(key, entry, RuleAlerts(entry.spec, entry.metadata.generation))
            restore(ruling.alerts, entry.status, now)
            self._rulings[uid], self._uids[key] = ruling, uid
            self._on_change(key)
        elif ruling.alerts.generation != entry.metadata.generation:
            self._forget_figures(ruling)
            ruling.alerts.configure(entry.spec, entry.metadata.generation)
        if (before := self._adoptions.wanted(key, entry, now)) is not None:
            adopt(ruling.alerts, before.status, now)
            self._adoptions.took(key, before)
            self._on_change(key)
        ruling.rule, ruling.secrets = entry, self._vault.values(references(entry))

    def _retire(self, key: ObjectKey, now: datetime) -> None:
        """A rule is deleted: what it told is over, and the channels shall hear so."""
        ruling = self._rulings[self._uids.pop(key)]
        ruling.ended_s = self._clock.now()
        ruling.alerts.end(now)
        self._forget_figures(ruling)

    def _is_done(self, ruling: _Ruling) -> bool:
        late = ruling.ended_s is not None and self._clock.now() - ruling.ended_s > ENDED_KEPT_S
        return late or not any(entry.told for entry in ruling.alerts.entries.values())

    # ------------------------------------------------------------------ channels

    def _queue(self, uid: str, ruling: _Ruling, now: datetime) -> None:
        for channel in ruling.alerts.spec.notifications:
            found = ruling.alerts.owed(channel.name, now)
            if isinstance(found, Owed) and self._trouble(ruling, channel).until_s <= self._clock.now():
                self.queue.add((uid, channel.name))

    async def _tell(self, key: ChannelKey) -> None:
        """Tell one channel what it is owed at this moment, once."""
        uid, name = key
        ruling = self._rulings.get(uid)
        channel = ruling.channel(name) if ruling is not None else None
        if ruling is None or channel is None or not self._may_write():
            return
        now = self._clock.utc()
        trouble = self._trouble(ruling, channel)
        owed = ruling.alerts.owed(name, now)
        if not isinstance(owed, Owed) or trouble.until_s > self._clock.now():
            return  # the next look queues it again
        message = build(ruling.rule, ruling.alerts, name, owed, now)
        ruling.alerts.tried(name, now)
        started_s = self._clock.now()
        outcome = await self._channels.deliver(message, channel, ruling.secrets)
        self._metrics.notification_s.labels(kind_of(channel)).observe(self._clock.now() - started_s)
        self._note(ruling, channel, trouble, outcome)
        if self._rulings.get(uid) is not ruling:
            return  # another leader's by now, or gone
        result = Delivery.DELIVERED if isinstance(outcome, Delivered) else Delivery.FAILED
        why = outcome.note if isinstance(outcome, Delivered) else outcome.message
        if ruling.alerts.settle(name, owed, Told(self._clock.utc(), result, why)) and ruling.ended_s is None:
            self._on_change(ruling.key)

    def _trouble(self, ruling: _Ruling, channel: Notification) -> _Trouble:
        """Return what is known to be wrong with a channel; nothing, if what it depends on has changed."""
        wanted = secret_of(channel)
        reference = f"{ruling.key.namespace}/{wanted[1].name}/{wanted[1].key}" if wanted is not None else ""
        cause = (ruling.alerts.generation, ruling.secrets.get(reference))
        trouble = ruling.troubles.setdefault(channel.name, _Trouble(cause=cause))
        if trouble.cause != cause:
            trouble = ruling.troubles[channel.name] = _Trouble(cause=cause)
        return trouble

    def _note(self, ruling: _Ruling, channel: Notification, trouble: _Trouble, outcome: Outcome) -> None:
        where = {"rule": ruling.key.id, "channel": channel.name}
        match outcome:
            case Delivered():
                result = "delivered"
                trouble.tries, trouble.until_s = 0, 0.0
            case Later(message=message, after_s=after_s):
                result = "retried"
                trouble.tries += 1
                pause_s = min(RETRY_FIRST_S * 2.0 ** min(trouble.tries - 1, 16), RETRY_MAX_S)
                pause_s = max(pause_s * (0.5 + self._clock.chance.random() / 2), after_s)
                trouble.until_s = self._clock.now() + pause_s
                log.warning("notification fails", extra={**where, "reason": message, "pause_s": pause_s})
            case _:
                result = "failed"
                trouble.until_s = self._clock.now() + BLOCKED_S
                log.error("notification fails for good", extra={**where, "reason": outcome.message})
        self._metrics.notifications.labels(
            ruling.key.namespace, ruling.key.name, channel.name, kind_of(channel), result
        ).inc()

    # ------------------------------------------------------------------ figures of our own

    def _count(self, ruling: _Ruling) -> None:
        states = [entry.standing.state for entry in ruling.alerts.entries.values()]
        severity = ruling.alerts.spec.severity.value
        where = (ruling.key.namespace, ruling.key.name)
        for state in (AlertState.PENDING, AlertState.FIRING):
            self._metrics.alerts.labels(*where, severity, state.value.lower()).set(states.count(state))
        for channel in ruling.alerts.spec.notifications:
            self._metrics.notifications_waiting.labels(*where, channel.name, kind_of(channel)).set(
                ruling.alerts.waiting(channel.name)
            )

    def _forget_figures(self, ruling: _Ruling) -> None:
        """Drop the gauges of a rule that is gone or has become another one."""
        where = {"namespace": ruling.key.namespace, "rule": ruling.key.name}
        self._metrics.alerts.remove_by_labels(where)
        self._metrics.notifications_waiting.remove_by_labels(where)

    def _forget_counts(self, ruling: _Ruling) -> None:
        """Drop what was counted of a rule that is gone, unless another one has its name by now."""
        if ruling.key not in self._uids:
            where = {"namespace": ruling.key.namespace, "rule": ruling.key.name}
            self._metrics.notifications.remove_by_labels(where)

    def _is_warm(self) -> bool:
        """Whether the sidecars' words are in: a leader that has heard nobody yet knows no figures."""
        now_s = self._clock.now()
        if self._began_s is None:
            self._began_s = now_s
        if not self._warm:
            missing = any(known.ready and not known.linked for known in self._collector.all())
            self._warm = not missing or now_s - self._began_s >= WARM_UP_S
        return self._warm
