"""The fleet's figures as Markdown. Pure."""

from fleet.figures import TARGET_SIZE, Run, Size, Spread
from gateways.table import columns

MIB = 2**20
APPLY_P99_MS, TRIP_P99_MS = 1000, 250
MEMORY_MIB, CPU_PERCENT = 250, 5
KILL_S, TERM_S = 6, 1


def render(run: Run) -> str:
    """Return the whole section."""
    machine = ", ".join(f"{name}: {value}" for name, value in run.machine.items() if name != "Node")
    how = "a short run (`--quick`): sizes, not figures to quote" if run.quick else "`make bench-fleet`"
    parts = [
        f"Measured {run.date} with {how}.",
        f"Machine: {machine}. kube-apiserver {run.api_server}. Load average before the run: {run.load:g}.",
        "![Until the whole fleet has heard](benchmarks-fleet.svg)",
        columns(_HEADS, _rows(run)),
    ]
    if run.broke_off:
        parts.append(f"Not everything was measured: {run.broke_off}.")
    if run.takeovers:
        parts.append(_takeovers(run))
    parts += ["### Targets of the fleet", columns(["target", "wanted", "measured", "met"], _targets(run))]
    return "\n\n".join(parts)


_HEADS = [
    "sidecars",
    "changed object → a sidecar runs it p50 / p99",
    "→ all run it p50 / p99",
    "429 → another refrains p50 / p99",
    "→ all refrain p50 / p99",
    "CPU per change",
    "CPU per 429 and recovery",
    "of 1 light sidecar",
    "memory",
    "CPU, quiet",
    "CPU, 1 request/s each",
    "writes, quiet",
    "first links",
]


def _rows(run: Run) -> list[list[str]]:
    secured = [] if run.mutual_tls is None else [row(run.mutual_tls, over="mutual TLS")]
    return [*map(row, run.sizes), *secured]


def row(size: Size, *, over: str = "") -> list[str]:
    """Return one size's cells; `over` names the channel if it is not a token in clear."""
    steady = size.steady
    return [
        f"{size.sidecars}, {over}" if over else str(size.sidecars),
        _pair(size.apply),
        _pair(size.apply_all),
        _pair(size.trip),
        _pair(size.trip_all),
        f"{size.change_cpu_ms:,.0f} ms",
        f"{size.trip_cpu_ms:,.0f} ms",
        f"{size.change_sidecar_ms / size.sidecars:.2f} / {size.trip_sidecar_ms / size.sidecars:.2f} ms",
        f"{steady.memory_bytes / MIB:,.0f} MiB",
        f"{steady.cpu_percent:.1f} %",
        f"{steady.busy_cpu_percent:.1f} %",
        f"{sum(steady.writes.values())} in {steady.seconds:g} s",
        f"{size.linked_s:.1f} s",
    ]


def _takeovers(run: Run) -> str:
    heads = [f"leader's end, {run.takeover_size} sidecars", "runs", "first sidecar led anew p50 / max"]
    heads.append("all led anew p50 / max")
    rows = []
    for one in run.takeovers:
        pair = [f"{part.p50_ms / 1000:.2f} / {part.max_ms / 1000:.2f} s" for part in (one.first, one.last)]
        rows.append([one.how, str(one.runs), *pair])
    return columns(heads, rows)


def _targets(run: Run) -> list[list[str]]:
    size = next((one for one in run.sizes if one.sidecars == TARGET_SIZE), None)
    rows = []
    if size is not None:
        what = f"p99 at {TARGET_SIZE}"
        rows += [
            _verdict(f"changed object → all run it, {what}", APPLY_P99_MS, size.apply_all.p99_ms, "ms"),
            _verdict(f"429 → the others refrain, {what}", TRIP_P99_MS, size.trip.p99_ms, "ms"),
            _verdict("operator's memory", MEMORY_MIB, size.steady.memory_bytes / MIB, "MiB"),
            _verdict("operator's CPU, quiet", CPU_PERCENT, size.steady.cpu_percent, "% of a core"),
            _verdict("API writes while quiet", 0, sum(size.steady.writes.values()), ""),
        ]
    if run.mutual_tls is not None:
        rows += [
            _verdict("the same change over mutual TLS", APPLY_P99_MS, run.mutual_tls.apply_all.p99_ms, "ms"),
            _verdict("the same 429 over mutual TLS", TRIP_P99_MS, run.mutual_tls.trip.p99_ms, "ms"),
            _verdict("memory over mutual TLS", MEMORY_MIB, run.mutual_tls.steady.memory_bytes / MIB, "MiB"),
        ]
    for one, wanted_s in zip(run.takeovers, (KILL_S, TERM_S), strict=False):
        rows.append(
            _verdict(f"takeover after {one.how}, the slowest", wanted_s, one.first.max_ms / 1000, "s")
        )
    return rows


def _verdict(what: str, wanted: float, measured: float, unit: str) -> list[str]:
    shown = (
        f"{measured:.2f}"
        if unit == "s"
        else f"{measured:,.1f}"
        if unit.startswith("%")
        else f"{measured:,.0f}"
    )
    met = "yes" if measured <= wanted else "no"
    return [what, f"≤ {wanted:,} {unit}".strip(), f"{shown} {unit}".strip(), met]


def _pair(spread: Spread) -> str:
    lost = f" ({spread.missing} never)" if spread.missing else ""
    return f"{spread.p50_ms:,.0f} / {spread.p99_ms:,.0f} ms{lost}"
