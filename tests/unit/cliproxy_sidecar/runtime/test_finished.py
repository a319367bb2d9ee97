"""Series of finished requests: what is added is what a scrape shows, and labels stay bounded."""

from cliproxy_sidecar.core.usage import Usage
from cliproxy_sidecar.runtime.finished import OTHER, Finished
from cliproxy_sidecar.runtime.metrics import Metrics


def test_counts_by_status_and_type() -> None:
    counts = Finished()
    series = counts.of("p", "m")
    series.add(200, 0.2, 2000, Usage(input=3, output=4))
    series.add(200, 0.2, 2000, Usage(input=1, cached_input=5, cache_write=6, reasoning=7))
    counts.of("p", "m").add(502, 0.2, 0, Usage())
    assert counts.requests() == {("p", "m", "200"): 2, ("p", "m", "502"): 1}
    assert counts.tokens() == {
        ("p", "m", "input"): 4,
        ("p", "m", "output"): 4,
        ("p", "m", "cached_input"): 5,
        ("p", "m", "cache_write"): 6,
        ("p", "m", "reasoning"): 7,
    }


def test_series_beyond_the_bound_fold_into_other() -> None:
    counts = Finished(max_series=2)
    for model in ("a", "b", "c", "d"):
        counts.of("p", model).add(200, 1.0, 1, Usage())
    assert counts.requests() == {("p", "a", "200"): 1, ("p", "b", "200"): 1, (OTHER, OTHER, "200"): 2}
    assert counts.of("p", "e") is counts.of("p", "f")


def test_sizes_of_all_models_stand_together() -> None:
    metrics = Metrics()
    metrics.finished.of("p", "a").add(200, 0.3, 5000, Usage())
    metrics.finished.of("p", "b").add(200, 0.3, 5000, Usage())
    text = metrics.render().decode()
    assert 'cliproxy_response_size_bytes_count{provider="p"} 2.0' in text
    assert 'cliproxy_request_duration_seconds_bucket{le="0.5",model="a",provider="p"} 1.0' in text
    assert 'cliproxy_request_duration_seconds_bucket{le="0.25",model="a",provider="p"} 0.0' in text
