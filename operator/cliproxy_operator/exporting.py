"""Keeps a PrometheusRule for each AlertRule that asks for one, where the API server serves such objects.

Runs on the leader; written when its content is another, looked at again every few minutes, deleted when it
is not asked for any more (with its owner the API server does that). What it holds is `alert_export`'s.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

import msgspec

from cliproxy_api.alert_export import MANAGED_BY, prometheus_rule, rule_name, selected
from cliproxy_api.alert_promql import NotExpressibleError
from cliproxy_api.conditions import ConditionType, Reason
from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.vocabulary import AlertExport, ConditionStatus
from cliproxy_operator.clock import Clock
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.kinds import ALERT_RULE, PROMETHEUS_RULE, PROVIDER
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.status.alertrule import Export
from cliproxy_operator.status.common import Fact
from cliproxy_operator.store import Object, Store, name_of
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.validate import is_refused
from cliproxy_operator.workqueue import WorkQueue

log = logging.getLogger(__name__)

FIELD_MANAGER: Final = "cliproxy-operator-rules"
SOON_S: Final = 0.5
"""Several causes of one moment become one write."""
AGAIN_S: Final = 300.0
"""Between looks at what is in place: what somebody deleted is made anew then, and what was refused tried."""
PAUSE_S: Final = 10.0
"""While we do not know whether we lead."""
FORBIDDEN: Final = 403

NOT_SERVED: Final = (
    "the API server serves no monitoring.coreos.com/v1 PrometheusRule: install the Prometheus operator, "
    "render the rule with `cliproxy alerts render`, or set spec.export to None"
)


class Exporter:
    """The PrometheusRules of this leadership."""

    def __init__(
        self,
        *,
        kube: Kube,
        store: Store,
        gatherer: Gatherer,
        reconciler: Reconciler,
        clock: Clock,
        metrics: Metrics,
        tasks: Tasks,
        may_write: Callable[[], bool],
        on_change: Callable[[ObjectKey], None],
    ) -> None:
        """`on_change` is told each rule whose status may have to change."""
        self._kube = kube
        self._store = store
        self._gatherer = gatherer
        self._reconciler = reconciler
        self._clock = clock
        self._may_write = may_write
        self._on_change = on_change
        self._exports: dict[ObjectKey, Export] = {}
        self._written: dict[ObjectKey, tuple[bytes, float]] = {}
        """What was applied, and when."""
        self.queue: WorkQueue[ObjectKey] = WorkQueue(
            self._work,
            name="export",
            clock=clock,
            tasks=tasks,
            workers=2,
            on_defect=lambda name: metrics.loop_failures.labels(name).inc(),
        )

    def reset(self) -> None:
        """Forget what is in place, as before a new leadership."""
        self._exports.clear()
        self._written.clear()

    def compiled(self, namespace: str) -> None:
        """Rules or providers of a namespace may have changed."""
        for raw in self._store.all(ALERT_RULE, namespace):
            if _is_concerned(raw):
                self.queue.add(ObjectKey(Kind.ALERT_RULE, *name_of(raw)), SOON_S)

    def export(self, key: ObjectKey) -> Export | None:
        """Return how a rule's export stands; None: not looked at yet, what status says still holds."""
        return self._exports.get(key)

    async def _work(self, key: ObjectKey) -> None:
        rule = self._gatherer.one(key)
        result = self._reconciler.results.get(key.namespace)
        if not isinstance(rule, AlertRule) or result is None:
            self._exports.pop(key, None)
            self._written.pop(key, None)
            return  # looked at again when it is compiled
        if not self._may_write():
            self.queue.add(key, PAUSE_S)
            return
        if is_refused(result.compiled.diagnostics.get(key, ())):
            return  # what was exported stays, as the rule goes on as it last was
        before = self._exports.get(key) or Export(rule.status.exported, None)
        try:
            found = await self._settled(key, rule, before)
        except ApiError as error:
            if error.passing:
                raise
            log.warning("alert rule not exported", extra={"rule": key.id, "reason": str(error)})
            found = Export(before.name, _failed(Reason.EXPORT_FAILED, _words(error)))
        if found.fact is not None:
            self.queue.add(key, AGAIN_S)
        if found != self._exports.get(key):
            self._exports[key] = found
            self._on_change(key)

    async def _settled(self, key: ObjectKey, rule: AlertRule, before: Export) -> Export:
        """Make the world as the rule wants it; return how it stands then."""
        if rule.spec.export is AlertExport.NONE:
            if before.name is not None and await self._is_ours(key, before.name):
                await self._kube.delete(PROMETHEUS_RULE, key.namespace, before.name)
            self._written.pop(key, None)
            return Export(None, None)
        try:
            body = prometheus_rule(rule, selected(rule, self._providers(key.namespace)))
        except NotExpressibleError as error:
            return Export(before.name, _failed(Reason.NOT_EXPRESSIBLE, f"spec.condition: {error}"))
        # Before it is compared: the same rule made anew has to own it, or it goes with the former one.
        body["metadata"]["ownerReferences"] = [_owner(rule)]
        name, content = rule_name(key.name), msgspec.json.encode(body)
        written = self._written.get(key)
        if written is not None and written[0] == content and self._clock.now() - written[1] < AGAIN_S:
            return before
        if not await self._kube.serves(PROMETHEUS_RULE):
            self._written.pop(key, None)
            return Export(None, _failed(Reason.PROMETHEUS_RULE_NOT_SERVED, NOT_SERVED))
        if not await self._is_ours(key, name):
            words = f"there is a PrometheusRule {name} that is not ours: rename it, or this rule"
            return Export(before.name, _failed(Reason.EXPORT_FAILED, words))
        await self._kube.apply(PROMETHEUS_RULE, key.namespace, name, body, manager=FIELD_MANAGER)
        self._written[key] = (content, self._clock.now())
        resting = ", without rules while the rule is suspended" if rule.spec.suspend else ""
        words = f"PrometheusRule {name} is in place{resting}"
        return Export(name, Fact(ConditionStatus.TRUE, Reason.EXPORTED, words))

    async def _is_ours(self, key: ObjectKey, name: str) -> bool:
        """Whether the object of that name is ours to write, or is not there."""
        found = await self._kube.get(PROMETHEUS_RULE, key.namespace, name)
        labels = (found["metadata"].get("labels") or {}) if found is not None else MANAGED_BY
        return bool(labels.items() >= MANAGED_BY.items())

    def _providers(self, namespace: str) -> list[LLMProvider]:
        keys = (ObjectKey(Kind.LLM_PROVIDER, *name_of(raw)) for raw in self._store.all(PROVIDER, namespace))
        return [entry for key in keys if isinstance(entry := self._gatherer.one(key), LLMProvider)]


def _is_concerned(raw: Object) -> bool:
    """Whether a rule asks for an export, or has something left of one."""
    spec, status = raw.get("spec") or {}, raw.get("status") or {}
    told = any(one.get("type") == ConditionType.EXPORTED for one in status.get("conditions") or ())
    return spec.get("export") == AlertExport.PROMETHEUS_RULE or bool(status.get("exported")) or told


def _owner(rule: AlertRule) -> dict[str, Any]:
    return {
        "apiVersion": ALERT_RULE.api_version,
        "kind": ALERT_RULE.kind,
        "name": rule.metadata.name,
        "uid": rule.metadata.uid,
        "controller": True,
    }


def _failed(reason: Reason, words: str) -> Fact:
    return Fact(ConditionStatus.FALSE, reason, words)


def _words(error: ApiError) -> str:
    if error.status == FORBIDDEN:
        return f"{error}; the chart grants this right where PrometheusRules are served: run `helm upgrade`"
    return str(error)
