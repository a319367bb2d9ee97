"""Counters and histograms: exact, bounded, in Prometheus' own words."""

from cliproxy_sidecar.runtime import metrics
from cliproxy_sidecar.runtime.metrics import Counter, Gauge, Histogram, Metrics


def test_counters_add_up() -> None:
    counter = Counter("x", "Help.", "a")
    counter.add(("1",))
    counter.add(("1",), 4)
    assert counter.values == {("1",): 5}


def test_series_are_bounded() -> None:
    counter = Counter("x", "Help.", "a", "b")
    histogram = Histogram("y", "Help.", (1.0,), "a")
    for number in range(metrics.MAX_SERIES + 50):
        counter.add((str(number), "b"))
        histogram.observe((str(number),), 0.5)
    assert len(counter.values) == metrics.MAX_SERIES + 1
    assert counter.values["other", "other"] == 50
    assert len(histogram.values) == metrics.MAX_SERIES + 1


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    shown = Metrics()
    for value in (0.05, 0.050001, 599.0, 601.0):
        shown.duration_s.observe(("p", "m"), value)
    text = shown.render().decode()
    name = "cliproxy_request_duration_seconds_bucket"
    assert f'{name}{{le="0.05",model="m",provider="p"}} 1.0' in text
    assert f'{name}{{le="0.1",model="m",provider="p"}} 2.0' in text
    assert f'{name}{{le="600.0",model="m",provider="p"}} 3.0' in text
    assert f'{name}{{le="+Inf",model="m",provider="p"}} 4.0' in text
    assert 'cliproxy_request_duration_seconds_count{model="m",provider="p"} 4.0' in text


def test_gauges_are_read_at_the_scrape() -> None:
    shown, value = Metrics(), {("p",): 1.0}
    shown.gauge(Gauge("cliproxy_test", "Help.", "provider", read=lambda: value))
    value["p",] = 7.0
    assert 'cliproxy_test{provider="p"} 7.0' in shown.render().decode()
