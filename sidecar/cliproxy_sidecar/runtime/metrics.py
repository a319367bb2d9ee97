"""Figures for Prometheus: plain integers on the hot path, families only when somebody scrapes.

Labels are bounded: a model that no provider serves counts as `other`, and so does a series beyond
`MAX_SERIES`. What the gauges show is asked of their owners at scrape time.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_sidecar.runtime.finished import (
    DURATION_BOUNDS_S,
    MAX_SERIES,
    OTHER,
    SIZE_BOUNDS_BYTES,
    Distribution,
    Finished,
    Labels,
    distribution,
)

NO_PROVIDER: Final = "none"
"""The request was answered by the sidecar itself."""
NO_ATTEMPT: Final = "cache"
"""In the provider's place for answers not made for the request: they say nothing about its speed."""

FIRST_TOKEN_BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60)
QUALITY_BOUNDS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)

Read = Callable[[], Mapping[Labels, float]]


class Counter:
    """Counts by label values."""

    __slots__ = ("help", "labels", "name", "read", "values")

    def __init__(
        self, name: str, text: str, *labels: str, read: Callable[[], Mapping[Labels, int]] | None = None
    ) -> None:
        """`read`: for what is counted elsewhere, asked at a scrape."""
        self.name, self.help, self.labels, self.read = name, text, labels, read
        self.values: dict[Labels, int] = {}

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Count; label values beyond the bound fold into `other`."""
        values = self.values
        try:
            values[labels] += amount
        except KeyError:
            self._begin(labels, amount)

    def _begin(self, labels: Labels, amount: int) -> None:
        values = self.values
        if len(values) >= MAX_SERIES:
            labels = (OTHER,) * len(labels)
        values[labels] = values.get(labels, 0) + amount

    def family(self) -> Metric:
        """Return what a scrape shows."""
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in (self.values if self.read is None else self.read()).items():
            family.add_metric(labels, value)
        return family


class MoneyCounter(Counter):
    """Counts nano-dollars and shows dollars."""

    __slots__ = ()

    def family(self) -> Metric:
        """Return what a scrape shows."""
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self.values.items():
            family.add_metric(labels, value / NANO_USD_PER_USD)
        return family


class Histogram:
    """Distributions by label values."""

    __slots__ = ("bounds", "help", "labels", "name", "values")

    def __init__(
        self,
        name: str,
        text: str,
        bounds: tuple[float, ...],
        *labels: str,
        values: dict[Labels, Distribution] | None = None,
    ) -> None:
        """`values`: kept by somebody else, who observes as well."""
        self.name, self.help, self.bounds, self.labels = name, text, bounds, labels
        self.values: dict[Labels, Distribution] = {} if values is None else values

    def observe(self, labels: Labels, value: float) -> None:
        """Count one observation; label values beyond the bound fold into `other`."""
        try:
            counts, total = self.values[labels]
        except KeyError:
            counts, total = self._begin(labels)
        counts[bisect_left(self.bounds, value)] += 1
        total[0] += value

    def _begin(self, labels: Labels) -> Distribution:
        if len(self.values) >= MAX_SERIES:
            labels = (OTHER,) * len(labels)
        return self.values.setdefault(labels, distribution(self.bounds))

    def family(self) -> Metric:
        """Return what a scrape shows."""
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, (counts, total) in self.values.items():
            sofar, buckets = 0, []
            for bound, count in zip((*map(str, map(float, self.bounds)), "+Inf"), counts, strict=True):
                sofar += count
                buckets.append((bound, sofar))
            family.add_metric(labels, buckets, sum_value=total[0])
        return family


class Gauge:
    """Values that are asked for when somebody scrapes."""

    def __init__(
        self, name: str, text: str, *labels: str, read: Callable[[], Mapping[Labels, float]]
    ) -> None:
        self.name, self.help, self.labels, self.read = name, text, labels, read

    def family(self) -> Metric:
        """Return what a scrape shows."""
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self.read().items():
            family.add_metric(labels, value)
        return family


class Metrics(Collector):
    """All figures of the sidecar."""

    def __init__(self) -> None:
        self.finished = Finished()
        """Where requests are counted that have ended."""
        self.requests = Counter(
            "cliproxy_requests",
            "Finished requests of callers.",
            "provider",
            "model",
            "status",
            read=self.finished.requests,
        )
        self.errors = Counter(
            "cliproxy_errors", "Failed attempts at providers, by outcome class.", "provider", "error_type"
        )
        self.tokens = Counter(
            "cliproxy_tokens", "Model tokens used.", "provider", "model", "type", read=self.finished.tokens
        )
        self.cost_usd = MoneyCounter(
            "cliproxy_cost_usd", "What answers cost, in US dollars.", "provider", "model", "consumer"
        )
        self.authentication_failures = Counter(
            "cliproxy_authentication_failures", "Calls without a right key or token.", "port", "reason"
        )
        self.consumer_refusals = Counter(
            "cliproxy_consumer_refusals",
            "Refused requests of consumers, by what refuses.",
            "consumer",
            "limit",
        )
        self.over_budget = Counter(
            "cliproxy_over_budget_requests",
            "Requests of consumers over budget, by what was done.",
            "consumer",
            "period",
            "action",
        )
        self.duration_s = Histogram(
            "cliproxy_request_duration_seconds",
            "From the request's head to the last byte of the answer.",
            DURATION_BOUNDS_S,
            "provider",
            "model",
            values=self.finished.duration_s,
        )
        self.first_token_s = Histogram(
            "cliproxy_first_token_seconds",
            "From the request's head to the first content byte of a stream.",
            FIRST_TOKEN_BOUNDS_S,
            "provider",
            "model",
        )
        self.response_bytes = Histogram(
            "cliproxy_response_size_bytes",
            "Body bytes sent to callers.",
            SIZE_BOUNDS_BYTES,
            "provider",
            values=self.finished.body_bytes,
        )
        self.quality = Histogram(
            "cliproxy_response_quality",
            "What callers say answers were worth, from 0 to 1.",
            QUALITY_BOUNDS,
            "provider",
            "model",
        )
        self.active = 0
        self._counters = [
            self.requests,
            self.errors,
            self.tokens,
            self.authentication_failures,
            self.cost_usd,
            self.consumer_refusals,
            self.over_budget,
        ]
        self._gauges: list[Gauge] = [
            Gauge("cliproxy_active_requests", "Requests being served.", read=lambda: {(): self.active}),
        ]
        self._sources: list[Callable[[], Iterable[Metric]]] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def count(self, counter: Counter) -> None:
        """Show another counter."""
        self._counters.append(counter)

    def gauge(self, gauge: Gauge) -> None:
        """Show another gauge."""
        self._gauges.append(gauge)

    def source(self, families: Callable[[], Iterable[Metric]]) -> None:
        """Show families that somebody makes at a scrape from what is counted there anyway."""
        self._sources.append(families)

    def collect(self) -> Iterable[Metric]:
        """Return all families (the Prometheus client calls this at a scrape)."""
        return self._families()

    def _families(self) -> Iterator[Metric]:
        for counter in self._counters:
            yield counter.family()
        for histogram in (self.duration_s, self.first_token_s, self.response_bytes, self.quality):
            yield histogram.family()
        for gauge in self._gauges:
            yield gauge.family()
        for families in self._sources:
            yield from families()

    def render(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)
