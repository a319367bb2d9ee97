"""What a scrape shows of each provider and of the links, read off when somebody scrapes.

The same figures that alerts judge by. What stands in status every replica shows, so that a change of leaders
leaves no gap; what only the leader knows, it shows once it has heard its sidecars.
"""

from typing import Final

from cliproxy_api.vocabulary import ProviderPhase
from cliproxy_operator.alerting import Alerting
from cliproxy_operator.alerts.figures import Facts, figure
from cliproxy_operator.collect import Collector
from cliproxy_operator.kinds import PROVIDER
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.store import Store

_HEALTH: Final = {"Healthy": 1.0, "Degraded": 0.5, "CoolingDown": 0.5, "Unknown": 0.5, None: 0.5}
_PHASES: Final = tuple(phase for phase in ProviderPhase if phase is not ProviderPhase.DISABLED)
_KEPT: Final = ("cooldown_count", "quota_remaining_ratio")
"""Figures that stand in status."""
_LEADERS: Final = ("budget_used_ratio", "cache_hit_ratio", "sidecars_unsynced")


class Showing:
    """Brings the gauges up to date."""

    def __init__(self, *, store: Store, collector: Collector, alerting: Alerting, metrics: Metrics) -> None:
        self._store = store
        self._collector = collector
        self._alerting = alerting
        self._metrics = metrics

    def refresh(self) -> None:
        """Set all gauges anew; those of objects that are gone go."""
        sidecars = self._collector.all()
        linked = sum(known.linked for known in sidecars)
        self._metrics.links.labels("linked").set(linked)
        self._metrics.links.labels("down").set(len(sidecars) - linked)
        self._health()
        self._metrics.provider_phase.clear()
        for gauge in self._metrics.provider_figures.values():
            gauge.clear()
        leads = self._alerting.knows
        for namespace, name, facts in self._alerting.readings(_LEADERS if leads else ()).everybody():
            self._provider(namespace, name, facts, leads=leads)

    def _health(self) -> None:
        self._metrics.provider_health.clear()
        for namespace, name in self._store.keys(PROVIDER):
            raw = self._store.get(PROVIDER, namespace, name) or {}
            phase = (raw.get("status") or {}).get("phase")
            self._metrics.provider_health.labels(namespace, name).set(_HEALTH.get(phase, 0.0))

    def _provider(self, namespace: str, name: str, facts: Facts, *, leads: bool) -> None:
        phase = facts.status.phase
        if phase is None or phase is ProviderPhase.DISABLED:
            return  # nobody has judged it yet
        for one in _PHASES:
            self._metrics.provider_phase.labels(namespace, name, one.value).set(one is phase)
        for metric in (*_KEPT, *_LEADERS) if leads else _KEPT:
            value = figure(metric, facts)
            if isinstance(value, int | float):
                self._metrics.provider_figures[metric].labels(namespace, name).set(value)
