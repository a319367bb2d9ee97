"""The results as Markdown. Pure; where the text goes is left to `document`."""

from collections.abc import Iterable, Sequence

from gateways.figures import CONNECTIONS, STREAMS, Load, Paced, Race, Result, Streaming
from gateways.verdict import BUSY, OUTRUN, notes, targets

_NONE = "n/a"


def render(race: Race) -> str:
    """Return the whole section that is made anew by every run."""
    parts = [
        *_facts(race),
        "![Requests per second on one core](benchmarks.svg)",
        "## Answers at once",
        _answers(race),
        "## Streams",
        _streams(race),
        *_targets(race),
        *_missing(race),
        *notes(race),
    ]
    return "\n\n".join(parts)


def columns(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are figures."""
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _facts(race: Race) -> list[str]:
    machine = ", ".join(f"{name}: {value}" for name, value in race.machine.items())
    tools = ", ".join(f"{name}: {value}" for name, value in race.tools.items())
    how = "a short run (`make bench-quick`): sizes, not figures to quote" if race.quick else "`make bench`"
    return [f"Measured {race.date} with {how}.", f"Machine: {machine}.", f"Tools: {tools}."]


def _answers(race: Race) -> str:
    heads = ["gateway"]
    heads += [f"requests/s, {count} connection{'s' if count > 1 else ''}" for count in CONNECTIONS]
    heads += ["CPU per request", "added at 1 connection p50 / p99", "added at half load p50 / p99"]
    heads += ["memory", "start"]
    return columns(heads, (_answers_row(race, result) for result in race.results))


def _answers_row(race: Race, result: Result) -> list[str]:
    direct = race.of("direct")
    gateway = result.kind != "direct"
    cells = [_name(result), *(_rate(result, count) for count in CONNECTIONS)]
    cells.append(f"{result.loads[32].cpu_us:,.0f} µs" if gateway else _NONE)
    one, base = result.loads[1], direct.loads[1] if direct else None
    cells.append(_added(one, base) if gateway and result.half else _NONE)
    cells.append(_added(result.half, result.half_direct))
    cells.append(f"{result.memory_bytes / 2**20:,.0f} MiB" if result.memory_bytes else _NONE)
    cells.append(f"{result.start_s:.2f} s" if result.start_s else _NONE)
    return cells


def _rate(result: Result, connections: int) -> str:
    load = result.loads[connections]
    outrun = result.kind != "direct" and connections > 1 and load.busy < BUSY
    failed = f" ({load.failed:,} failed)" if load.failed else ""
    return f"{load.requests_per_s:,.0f}{OUTRUN if outrun else ''}{failed}"


def _streams(race: Race) -> str:
    direct = race.of("direct")
    base = direct.paced if direct else None
    heads = ["gateway", f"tokens/s, {STREAMS} streams", "CPU per token, paced", "CPU per token, flood"]
    heads += ["added to the first token p50 / p99", "added per token p50 / p99"]
    return columns(heads, (_streams_row(result, base) for result in race.results if result.paced))


def _streams_row(result: Result, base: Streaming | None) -> list[str]:
    paced, flood = result.paced, result.flood
    if paced is None or flood is None:
        return [_name(result)]
    broken = f" ({paced.broken + flood.broken:,} broken)" if paced.broken + flood.broken else ""
    outrun = OUTRUN if result.kind != "direct" and flood.busy < BUSY else ""
    cells = [_name(result), f"{flood.tokens_per_s:,.0f}{outrun}{broken}"]
    if result.kind == "direct" or base is None:
        return [*cells, *([_NONE] * 4)]
    cells += [_cpu(paced), _cpu(flood)]
    cells.append(_pair(paced.first_p50_us - base.first_p50_us, paced.first_p99_us - base.first_p99_us))
    cells.append(_pair(paced.token_p50_us - base.token_p50_us, paced.token_p99_us - base.token_p99_us))
    return cells


def _cpu(streaming: Streaming) -> str:
    return f"{streaming.cpu_us:,.1f} µs" if streaming.tokens else _NONE


def _targets(race: Race) -> list[str]:
    rows = [[target.what, target.wanted, target.measured, target.word] for target in targets(race)]
    return ["## Targets", columns(["target", "wanted", "measured", "met"], rows)] if rows else []


def _missing(race: Race) -> list[str]:
    if not race.missing:
        return []
    lines = "\n".join(f"- {missing.title}: {missing.reason}" for missing in race.missing)
    return ["## Not measured", lines]


def _name(result: Result) -> str:
    name = f"{result.title} {result.version}".strip()
    return f"**{name}**" if result.kind == "ours" else name


def _added(with_it: Load | Paced | None, without: Load | Paced | None) -> str:
    if with_it is None or without is None:
        return _NONE
    late = f" ({with_it.late:,} late)" if isinstance(with_it, Paced) and with_it.late else ""
    return _pair(with_it.p50_us - without.p50_us, with_it.p99_us - without.p99_us) + late


def _pair(p50_us: float, p99_us: float) -> str:
    return f"{duration(p50_us)} / {duration(p99_us)}"


def duration(microseconds: float) -> str:
    """Write a duration in the unit that suits it; a difference below zero is noise, and called so."""
    if microseconds < 0:
        return "noise"
    if microseconds < 1000:  # noqa: PLR2004 -- the next unit
        return f"{microseconds:.0f} µs"
    ms = microseconds / 1000
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:,.0f} ms"  # noqa: PLR2004 -- three digits
