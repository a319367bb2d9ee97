"""What alerts read of the providers at one moment: facts gathered once, figures made once for all rules.

What a metric means is `alerts.figures`', when to look `alerting`'s.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_operator.alerts.figures import TRAFFIC, Facts, Figure, figure
from cliproxy_operator.alerts.judge import Figures
from cliproxy_operator.alerts.rule import RuleAlerts
from cliproxy_operator.collect import Collector, Group
from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.kinds import PROVIDER
from cliproxy_operator.reconcile import Reconciler
from cliproxy_operator.spending import Spending
from cliproxy_operator.store import Object, Store, name_of
from cliproxy_operator.view import SidecarsView


@dataclass(frozen=True, slots=True)
class _Provider:
    """One provider that rules may be for; `figures` fills up with what rules ask."""

    name: str
    labels: dict[str, str]
    facts: Facts
    figures: dict[str, Figure] = field(default_factory=dict)


class Readings:
    """What is known about providers at one moment, each fact read once for all rules."""

    def __init__(
        self,
        *,
        store: Store,
        gatherer: Gatherer,
        reconciler: Reconciler,
        collector: Collector,
        spending: Spending,
        asked: Iterable[str],
    ) -> None:
        """Read what the metrics that are `asked` for need."""
        self._gatherer = gatherer
        self._collector = collector
        self._spending = spending
        self._asked = frozenset(asked)
        self._budgets: dict[Group, float | None] = {}
        self._hits: dict[tuple[Group, ...], float | None] = {}
        self._holders: dict[str, list[Group]] = {}
        for namespace, result in reconciler.results.items():
            for profile, held in result.held.items():
                for provider_id in held:
                    self._holders.setdefault(provider_id, []).append((namespace, profile))
        self._providers: dict[str, list[_Provider]] = {}
        for raw in store.all(PROVIDER):
            self._add(raw)

    def selected(self, rule: AlertRule, alerts: RuleAlerts) -> dict[str, Figures]:
        """Return the figures that a rule needs (and maybe others), by provider that it is for."""
        matches = alerts.spec.provider_selector.matches
        found: dict[str, Figures] = {}
        for provider in self._providers.get(rule.metadata.namespace, ()):
            if not matches(provider.labels):
                continue
            figures = found[provider.name] = provider.figures
            for metric in alerts.metrics:
                if metric not in figures:
                    figures[metric] = figure(metric, provider.facts)
        return found

    def everybody(self) -> Iterator[tuple[str, str, Facts]]:
        """Yield namespace, name and facts of each provider that rules may be for."""
        for namespace, providers in self._providers.items():
            for provider in providers:
                yield namespace, provider.name, provider.facts

    def _budget_used(self, groups: tuple[Group, ...]) -> float | None:
        for group in groups:
            if group not in self._budgets:
                self._budgets[group] = self._spending.budget_used(*group)
        known = [used for group in groups if (used := self._budgets[group]) is not None]
        return max(known, default=None)

    def _hit_ratio(self, groups: tuple[Group, ...]) -> float | None:
        if groups not in self._hits:
            self._hits[groups] = self._collector.hit_ratio(groups)
        return self._hits[groups]

    def _add(self, raw: Object) -> None:
        """Note a provider. One that a person has disabled is for no rule; one that is misconfigured is."""
        namespace, name = name_of(raw)
        entry = self._gatherer.one(ObjectKey(Kind.LLM_PROVIDER, namespace, name))
        if entry is None or (isinstance(entry, LLMProvider) and not entry.spec.enabled):
            return
        status = entry.status if isinstance(entry, LLMProvider) else _status(raw.get("status"))
        provider_id = f"{namespace}/{name}"
        groups = tuple(self._holders.get(provider_id, ()))
        facts = Facts(
            status=status,
            traffic=self._collector.traffic(provider_id) if self._asked & TRAFFIC else None,
            reported=self._collector.reported(groups),
            sidecars=(
                self._collector.view(groups, provider_id)
                if "sidecars_unsynced" in self._asked
                else SidecarsView()
            ),
            budget_used=self._budget_used(groups) if "budget_used_ratio" in self._asked else None,
            hit_ratio=self._hit_ratio(groups) if "cache_hit_ratio" in self._asked else None,
        )
        provider = _Provider(name, dict(entry.metadata.labels), facts)
        self._providers.setdefault(namespace, []).append(provider)


def _status(raw: object) -> LLMProviderStatus:
    try:
        return msgspec.convert(raw or {}, LLMProviderStatus)
    except msgspec.ValidationError:
        return LLMProviderStatus()
