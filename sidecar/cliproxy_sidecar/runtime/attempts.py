"""Attempts at providers as Prometheus sees them: the counters behind alerts, made at a scrape.

What is counted stands in `core.windows` already, so a request pays nothing for them. Bounded by the providers
of the snapshot: seven series each, and a histogram for those that were asked at all.
"""

from collections.abc import Iterable
from typing import Final

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_api.percentile import BOUNDS_MS
from cliproxy_sidecar.core.windows import Lifetime
from cliproxy_sidecar.runtime.machines import Machines

_LABELS: Final = ("provider_namespace", "provider")
_BOUNDS: Final = (*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf")


def attempt_families(machines: Machines) -> Iterable[Metric]:
    """Return the families of all providers of the snapshot."""
    attempts = CounterMetricFamily(
        "cliproxy_provider_attempts",
        "Attempts at a provider that have ended, retries included.",
        labels=_LABELS,
    )
    failures = CounterMetricFamily(
        "cliproxy_provider_failures",
        "Attempts that failed by the provider's fault: rate_limited, key_refused or other.",
        labels=(*_LABELS, "reason"),
    )
    tokens = CounterMetricFamily(
        "cliproxy_provider_tokens", "Model tokens of all attempts at a provider.", labels=_LABELS
    )
    cost = CounterMetricFamily(
        "cliproxy_provider_cost_usd", "What attempts at a provider cost, in US dollars.", labels=_LABELS
    )
    durations = HistogramMetricFamily(
        "cliproxy_provider_attempt_duration_seconds", "How long attempts at a provider took.", labels=_LABELS
    )
    for provider_id, figures in machines.windows.lifetimes().items():
        where = provider_id.split("/", 1)
        attempts.add_metric(where, figures.attempts)
        other = figures.errors - figures.rate_limited - figures.key_refusals
        failures.add_metric((*where, "rate_limited"), figures.rate_limited)
        failures.add_metric((*where, "key_refused"), figures.key_refusals)
        failures.add_metric((*where, "other"), other)
        tokens.add_metric(where, figures.tokens)
        cost.add_metric(where, figures.nano_usd / NANO_USD_PER_USD)
        if figures.attempts:
            durations.add_metric(where, _buckets(figures), sum_value=figures.latency_sum_ms / 1000)
    return attempts, failures, tokens, cost, durations


def _buckets(figures: Lifetime) -> list[tuple[str, float]]:
    sofar, buckets = 0, []
    for bound, count in zip(_BOUNDS, figures.latencies, strict=True):
        sofar += count
        buckets.append((bound, float(sofar)))
    return buckets
