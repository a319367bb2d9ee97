"""docs/metrics.md: the reference made from both registries, and the table of the last trial.

The words that no registry holds (what bounds a label's values) stand here.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from cliproxy_dev.monitoring.trial import Answer
from cliproxy_operator.metrics import Metrics as OperatorMetrics
from cliproxy_sidecar.runtime.logs import Logs
from cliproxy_sidecar.settings import read_settings
from cliproxy_sidecar.wiring import Sidecar

BEGIN: Final = "<!-- table: make metrics -->"
END: Final = "<!-- end of table -->"
SHOWN: Final = 3
"""Series of a query that the table shows."""

BOUNDS: Final = {
    "action": "3: Warn, Downgrade, Block",
    "channel": "channels of the rules: 10 each",
    "consumer": "consumers of the profile; empty without any",
    "document": "2: snapshot, state",
    "error_type": "the outcome classes: 13",
    "for": "2: operator, sidecars",
    "kind": "kinds of what is counted: a dozen",
    "le": "bounds of the histogram",
    "level": "2: local, redis",
    "limit": "what a consumer can be limited by: 4",
    "loop": "background loops: about 20",
    "model": "models of the snapshot's providers, and `other`",
    "namespace": "namespaces with objects of ours",
    "period": "3: daily, weekly, monthly",
    "phase": "6: the phases but Disabled",
    "port": "3: proxy, control, operations",
    "provider": "providers of the snapshot (operator: of all), `none` and `cache`",
    "provider_namespace": "where the provider is declared",
    "reason": "a fixed list each: at most 20",
    "receiver": "5: slack, email, pagerduty, webhook, alertmanager",
    "result": "a fixed list each: at most 6",
    "rule": "AlertRules",
    "severity": "3: info, warning, critical",
    "state": "a fixed list each: at most 3",
    "status": "HTTP's statuses that were answered",
    "type": "a fixed list each: at most 6",
    "verb": "verbs of the API: 8",
    "webhook": "2: pods, objects",
}
"""What bounds the values of each label; a test holds that none is missing."""

HEAD: Final = """# Metrics

Sidecars serve `/metrics` on port 9090 (`cliproxy-obs`), the operator on port 8080, both without a key: keep
these ports inside the cluster. Units are base units (seconds, bytes, US dollars); counters end in `_total`.
The operator's `namespace` is that of the object, so scrape it with `honorLabels: true`, or find it as
`exported_namespace`; whatever begins with `cliproxy_provider_` has `provider_namespace` instead, which
never collides.

The chart ships rules (`rules/*.yaml`, as PrometheusRule) and four dashboards (`dashboards/*.json`, as
ConfigMaps): fleet, provider, consumers and cost, operator. They expect scrapes every 30 s at most and jobs
whose names contain `cliproxy`.

No label holds what a caller makes up: a model that nobody serves counts as `other`, and so does any series
of one metric beyond 10,000. `cliproxy_provider_*` of a sidecar are seven series for each provider of its
snapshot, and a histogram of 16 once it is asked. What the operator shows of providers is what
[alerts](alerts.md) judge by; `_phase`, `_cooldowns` and `_quota_remaining_ratio` are shown by every replica
(take `max`), the rest by the leader. What nobody knows has no series.
"""


def written(table_: str) -> str:
    """Return the whole page with this table in it."""
    sidecar = reference(asyncio.run(sidecar_registry()))
    operator = reference(OperatorMetrics().registry)
    labels = "\n".join(f"| `{name}` | {bound} |" for name, bound in sorted(BOUNDS.items()))
    return f"""{HEAD}
## Sidecar

{sidecar}
## Operator

{operator}
## Labels

| label | its values are bounded by |
|---|---|
{labels}

## Every panel on real traffic

What each panel's query answered in a real Prometheus after some hundred requests through two real
sidecars, a rate limit, strangers and consumers over their limits among them (`make metrics`; a test asserts
that each answers, and sanely). At most {SHOWN} series of a query are shown.

{BEGIN}
{table_}
{END}
"""


def reference(registry: CollectorRegistry) -> str:
    """Return the table of a registry's metrics, ours before the process's."""
    rows = ["| metric | type | labels | what it says |", "|---|---|---|---|"]
    ours: list[str] = []
    process: list[str] = []
    for metric in sorted(registry.collect(), key=lambda one: one.name):
        labels = ", ".join(f"`{name}`" for name in labels_of(metric, registry))
        row = f"| `{shown_name(metric)}` | {metric.type} | {labels} | {metric.documentation} |"
        (process if metric.name.startswith("process_") else ours).append(row)
    return "\n".join([*rows, *ours, *process]) + "\n"


def shown_name(metric: Metric) -> str:
    """Return a metric's name as it stands in queries."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def labels_of(metric: Metric, registry: CollectorRegistry) -> tuple[str, ...]:
    """Return a metric's labels, the histogram's bound left out."""
    known: Any = getattr(metric, "_labelnames", None)
    if known is None:  # the client's own kinds tell them by their collector only
        collector: Any = registry._names_to_collectors.get(metric.name)  # noqa: SLF001 -- no public way
        known = getattr(collector, "_labelnames", ())
    return tuple(known)


def table(answers: Iterable[Answer]) -> str:
    """Return panel, query and value of every query."""
    rows = ["| panel | query | value |", "|---|---|---|"]
    for one in answers:
        expr = one.expr.replace("|", "\\|")
        rows.append(f"| {one.board.removeprefix('cliproxy / ')}: {one.panel} | `{expr}` | {_values(one)} |")
    return "\n".join(rows)


def table_of(text: str) -> str:
    """Return the table that a page holds; a word in its place if there is none."""
    _, _, rest = text.partition(f"{BEGIN}\n")
    found, _, _ = rest.partition(f"\n{END}")
    return found or "not tried yet"


def _values(answer: Answer) -> str:
    shown = [
        f"{' '.join(one.labels[name] for name in sorted(one.labels) if name not in _NOISE)} "
        f"{one.value:.3g}".strip()
        for one in answer.samples[:SHOWN]
    ]
    more = len(answer.samples) - SHOWN
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "") + f" ({answer.unit})"


_NOISE: Final = ("__name__", "instance", "job", "provider_namespace")


async def sidecar_registry() -> CollectorRegistry:
    """Return the metrics of a sidecar that nobody has asked anything yet; inside a loop, as it needs one."""
    settings = read_settings({"CLIPROXY_CONTROL_TOKEN": "for-the-reference-only", "POD_NAME": "pod"})
    return Sidecar(settings, Logs(None)).metrics.registry  # type: ignore[arg-type]
