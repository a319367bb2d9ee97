import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from gateways import document, plot, table
from gateways.figures import CONNECTIONS, Load, Missing, Paced, Race, Result, Streaming
from gateways.verdict import notes, targets

DOCS = Path(__file__).parents[3] / "docs"


def load(
    rate: float, *, busy: float = 1.0, failed: int = 0, p50_us: float = 100, p99_us: float = 200
) -> Load:
    return Load(
        requests_per_s=rate, p50_us=p50_us, p99_us=p99_us, failed=failed, cpu_us=1e6 / rate, busy=busy
    )


def paced(p50_us: float, p99_us: float, late: int = 0) -> Paced:
    return Paced(rate_per_s=1000, p50_us=p50_us, p99_us=p99_us, failed=0, late=late)


def streaming(cpu_us: float, token_us: float) -> Streaming:
    return Streaming(
        tokens=40_000,
        seconds=2,
        streams=100,
        broken=0,
        first_p50_us=1000 + token_us,
        first_p99_us=2000 + token_us,
        token_p50_us=token_us,
        token_p99_us=2 * token_us,
        cpu_us=cpu_us,
        busy=0.95,
    )


def result(key: str, kind: str, rate: float, **changes: object) -> Result:
    made = Result(
        key=key, title=key, version="1.2", kind=kind, loads={count: load(rate) for count in CONNECTIONS}
    )
    return msgspec.structs.replace(made, **changes)


def ours(rate: float = 16_000, **changes: object) -> Result:
    given = {
        "start_s": 0.5,
        "memory_bytes": 50 * 2**20,
        "half": paced(300, 900),
        "half_direct": paced(100, 150),
        "paced": streaming(14, 300),
        "flood": streaming(4, 900),
    }
    return result("ours", "ours", rate, **{**given, **changes})


def race(*results: Result, missing: tuple[Missing, ...] = ()) -> Race:
    direct = result("direct", "direct", 60_000, paced=streaming(0, 100), flood=streaming(0, 200))
    return Race(
        date="2026-01-02",
        machine={"processor": "CPU <1>"},
        tools={"load": "wrk"},
        quick=False,
        results=[direct, *results],
        missing=list(missing),
    )


def row(text: str, name: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {name}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_added_latency_is_the_difference_to_direct_at_the_same_rate() -> None:
    cells = row(table.render(race(ours())), "**ours 1.2**")
    assert cells[1:5] == ["16,000", "16,000", "16,000", "62 µs"]
    assert cells[6:] == ["200 µs / 750 µs", "50 MiB", "0.50 s"]


def test_streams_show_what_the_gateway_added() -> None:
    section = table.render(race(ours())).partition("## Streams")[2]
    assert row(section, "**ours 1.2**")[1:] == [
        "20,000",
        "14.0 µs",
        "4.0 µs",
        "200 µs / 200 µs",
        "200 µs / 400 µs",
    ]


def test_requests_not_answered_in_time_are_told() -> None:
    assert "(7 late)" in table.render(race(ours(half=paced(300, 900, late=7))))


def test_a_gateway_that_was_outrun_by_the_load_is_marked() -> None:
    idle = dict.fromkeys(CONNECTIONS, load(20_000, busy=0.5))
    text = table.render(race(ours(loads=idle)))
    assert row(text, "**ours 1.2**")[2] == "20,000†"
    assert "† The gateway used less than 90% of its core" in text
    assert "†" not in table.render(race(ours()))


def test_failed_requests_are_shown_beside_the_rate() -> None:
    failing = {**ours().loads, 256: load(16_000, failed=1234)}
    assert row(table.render(race(ours(loads=failing))), "**ours 1.2**")[3] == "16,000 (1,234 failed)"


def test_a_contender_that_is_missing_is_listed_with_its_reason() -> None:
    gone = Missing(key="x", title="Gateway X", reason="there is no node")
    assert "- Gateway X: there is no node" in table.render(race(ours(), missing=(gone,)))


def test_targets_are_met_at_their_bounds_and_not_below() -> None:
    met = {
        target.what: target.met for target in targets(race(ours(15_000), result("ferro", "gateway", 7_500)))
    }
    assert len(met) == 7
    assert all(met.values())
    slow = targets(race(ours(14_999, start_s=1.1), result("ferro", "gateway", 7_501)))
    missed = {target.what for target in slow if not target.met}
    assert missed == {"requests/s per core", "times the Go gateway", "first answer after the start"}


@pytest.mark.parametrize("direct", [paced(100, 6000), paced(100, 1001)])
def test_latency_is_not_judged_against_a_base_line_that_was_disturbed(direct: Paced) -> None:
    judged = targets(race(ours(half=paced(300, 1500), half_direct=direct)))
    [latency] = [target for target in judged if target.what.startswith("p99 added")]
    assert (latency.met, latency.word) == (None, "not judged")


def test_targets_that_were_not_measured_are_left_out() -> None:
    assert targets(race()) == []
    assert "## Targets" not in table.render(race())
    assert "## Targets" in table.render(race(ours()))
    assert "times the Go gateway" not in {target.what for target in targets(race(ours()))}


def test_too_little_room_above_the_fastest_gateway_is_told() -> None:
    assert any("only 1.5 times" in note for note in notes(race(ours(40_000))))
    assert not notes(race(ours(20_000)))


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (-3.0, "noise"),
        (0.0, "0 µs"),
        (999.0, "999 µs"),
        (1000.0, "1.00 ms"),
        (9994.0, "9.99 ms"),
        (2_345_000.0, "2,345 ms"),
    ],
)
def test_durations_in_the_unit_that_suits(microseconds: float, text: str) -> None:
    assert table.duration(microseconds) == text


def test_plot_is_well_formed_and_its_bars_are_to_scale() -> None:
    text = plot.render(race(ours(16_000), result("a&b", "gateway", 4_000), result("e", "limit", 32_000)))
    root = ET.fromstring(text)  # noqa: S314 -- made two lines above
    bars = [element for element in root.iter("{http://www.w3.org/2000/svg}rect") if element.get("rx")]
    widths = [float(bar.get("width") or 0) for bar in bars]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.01)
    assert widths[0] / widths[2] == pytest.approx(8, rel=0.01)
    assert "a&amp;b" in text
    assert "CPU &lt;1&gt;, 2026-01-02" in text


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    begin, other = document.BEGIN.format(command="bench"), document.BEGIN.format(command="bench-soak")
    page = f"# Mine\n{other}\nkept\n{document.END}\n{begin}\nold\n{document.END}\nalso mine\n"
    fresh = document.replace(page, "new")
    kept = f"# Mine\n{other}\nkept\n{document.END}\n"
    assert fresh == f"{kept}{begin}\n\nnew\n\n{document.END}\nalso mine\n"
    assert document.replace(fresh, "soaked", "bench-soak") == fresh.replace("\nkept\n", "\n\nsoaked\n\n")
    assert document.replace(fresh, "new") == fresh


@pytest.mark.parametrize("page", ["", document.BEGIN, document.END])
def test_a_page_without_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        document.replace(page, "new")


def test_the_page_in_docs_can_take_results() -> None:
    page = (DOCS / "benchmarks.md").read_text("utf-8")
    assert "## Answers at once" in document.replace(page, table.render(race(ours())))


def test_a_late_load_generator_is_told() -> None:
    late = msgspec.structs.replace(paced(300, 900), sent_late_p99_us=1400)
    assert any("1.40 ms late" in note for note in notes(race(ours(half=late))))
    assert not any("late" in note for note in notes(race(ours())))
