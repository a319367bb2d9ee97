"""What the figures say: each target met or not, and what a reader must know before trusting them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateways.figures import Paced, Race, Result

BUSY: Final = 0.9
"""A gateway that used less of its core than this was outrun by the load or the provider."""
OUTRUN: Final = "†"
_MIDDLE: Final = 32
_CALM_US: Final = 1000.0
"""A p99 of going direct above this says more about the machine than about any gateway."""
_PROMPT_US: Final = 300.0
"""Above this the load generator's own lateness is worth a word."""
_ROOM: Final = 2.0
"""How much faster than any gateway load and provider must be by themselves."""


@dataclass(frozen=True, slots=True)
class Target:
    """One of the promises in the design."""

    what: str
    wanted: str
    measured: str
    met: bool | None
    """None: the machine was too disturbed to tell."""

    @property
    def word(self) -> str:
        """Say it in a word."""
        return "not judged" if self.met is None else "yes" if self.met else "no"


def targets(race: Race) -> list[Target]:
    """Return how our sidecar stands to its targets; those that were not measured are left out."""
    ours = race.of("ours")
    return list(_targets(race, ours)) if ours is not None else []


def _targets(race: Race, ours: Result) -> Iterator[Target]:
    rate = ours.loads[_MIDDLE].requests_per_s
    yield Target("requests/s per core", "≥ 15,000", f"{rate:,.0f}", rate >= 15_000)  # noqa: PLR2004
    if (ferro := race.of("ferro")) is not None:
        times = rate / max(1.0, ferro.loads[_MIDDLE].requests_per_s)
        yield Target("times the Go gateway", "≥ 2", f"{times:.1f}", times >= 2)  # noqa: PLR2004
    if ours.half is not None and ours.half_direct is not None:
        yield _added_target(ours.half, ours.half_direct)
    if ours.memory_bytes is not None:
        mib = ours.memory_bytes / 2**20
        yield Target("resident memory after the load", "≤ 60 MiB", f"{mib:.0f} MiB", mib <= 60)  # noqa: PLR2004
    if ours.start_s is not None:
        yield Target("first answer after the start", "≤ 1 s", f"{ours.start_s:.2f} s", ours.start_s <= 1)
    for how, streaming in (("20 a second", ours.paced), ("flood", ours.flood)):
        if streaming is not None:
            what, cpu_us = f"CPU per token of a stream, {how}", streaming.cpu_us
            yield Target(what, "≤ 15 µs", f"{cpu_us:.1f} µs", cpu_us <= 15)  # noqa: PLR2004


def _added_target(half: Paced, direct: Paced) -> Target:
    what, wanted = "p99 added at 32 connections under half load", "≤ 1 ms"
    added_us = half.p99_us - direct.p99_us
    if added_us <= 0 or direct.p99_us > _CALM_US:
        # The subtraction would flatter the gateway: something else held up the requests that went direct.
        return Target(
            what, wanted, f"base line disturbed: its own p99 is {direct.p99_us / 1000:.2f} ms", None
        )
    return Target(what, wanted, f"{added_us / 1000:.2f} ms", added_us <= 1000)  # noqa: PLR2004


def notes(race: Race) -> list[str]:
    """Return sentences about this run that a reader must know."""
    told = []
    gateways = [result for result in race.results if result.kind != "direct"]
    shares = [load.busy for result in gateways for count, load in result.loads.items() if count > 1]
    shares += [result.flood.busy for result in gateways if result.flood is not None]
    if any(share < BUSY for share in shares):
        told.append(
            f"{OUTRUN} The gateway used less than {BUSY:.0%} of its core: load or provider were the limit."
        )
    halves = [result.half for result in gateways if result.half is not None]
    if (late_us := max((half.sent_late_p99_us for half in halves), default=0.0)) > _PROMPT_US:
        told.append(
            f"At half load one request in a hundred left the load generator {late_us / 1000:.2f} ms late or "
            "more at worst, which counts as latency of all."
        )
    direct = race.of("direct")
    forwarding = [result.loads[_MIDDLE].requests_per_s for result in gateways if result.half is not None]
    if direct is not None and forwarding:
        room = direct.loads[_MIDDLE].requests_per_s / max(forwarding)
        if room < _ROOM:
            told.append(
                f"Load and provider alone do only {room:.1f} times the fastest gateway's rate; its figure "
                "may be theirs."
            )
    return told
