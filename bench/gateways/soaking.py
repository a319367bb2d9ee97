"""What a long run under load showed: memory over time, as verdict, text and picture. Pure.

Taking the samples is `soak.py`'s.
"""

from statistics import median
from typing import Final

import msgspec

from gateways.figures import Paced, Streaming

FLAT_BYTES: Final = 2 * 1024 * 1024
"""Memory may grow by so much from the second fifth of the run to the last and still be called flat."""
_MIB: Final = 1024 * 1024
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 760, 260, 56, 44, 36
_STYLE: Final = (
    "text{font-family:system-ui,sans-serif;font-size:12px;fill:#5a6675}"
    ".head{font-size:16px;font-weight:600;fill:#1c2733}"
)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the process."""

    at_s: float
    """Since the load began."""
    memory_bytes: int
    cpu_s: float
    """Used since the process began."""


class Soak(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    date: str
    machine: dict[str, str]
    samples: list[Sample]
    """At least five."""
    requests: Paced
    streams: Streaming
    seconds: float


def grown_bytes(samples: list[Sample]) -> int:
    """Return how much more memory the last fifth of the run took than the second: caches are full by then."""
    fifth = len(samples) // 5
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    return round(median(one.memory_bytes for one in late) - median(one.memory_bytes for one in early))


def is_flat(soak: Soak) -> bool:
    """Whether the sidecar kept its memory."""
    return grown_bytes(soak.samples) <= FLAT_BYTES


def describe(soak: Soak) -> str:
    """Return what was measured, in Markdown."""
    samples, requests, streams = soak.samples, soak.requests, soak.streams
    used_s = samples[-1].cpu_s - samples[0].cpu_s
    busy = used_s / (samples[-1].at_s - samples[0].at_s)
    most = max(one.memory_bytes for one in samples)
    count = round(requests.rate_per_s * soak.seconds)
    machine = ", ".join(f"{name}: {value}" for name, value in soak.machine.items())
    return (
        f"Measured {soak.date} with `make bench-soak`: {soak.seconds / 60:.0f} minutes of"
        f" {requests.rate_per_s:,.0f} requests/s ({count:,} in all) beside {streams.tokens:,} tokens of"
        f" paced streams; {requests.failed} requests failed, {requests.late} were unanswered at the end,"
        f" {streams.broken} streams broke off;"
        f" {busy:.0%} of a core.\n\n"
        f"Memory: {samples[0].memory_bytes / _MIB:.1f} MiB at the start, {most / _MIB:.1f} MiB at most,"
        f" {samples[-1].memory_bytes / _MIB:.1f} MiB at the end; from the second fifth to the last it changed"
        f" by {grown_bytes(samples) / _MIB:+.2f} MiB ({'flat' if is_flat(soak) else 'NOT flat'}).\n\n"
        f"Machine: {machine}.\n\n![Resident memory over time](soak.svg)\n"
    )


def picture(soak: Soak) -> str:
    """Return resident memory over time, from zero, as SVG."""
    samples = soak.samples
    most = max(one.memory_bytes for one in samples) * 1.1
    end_s = samples[-1].at_s or 1.0
    wide, high = _WIDTH - _LEFT - 20, _HEIGHT - _TOP - _BOTTOM
    points = " ".join(
        f"{_LEFT + wide * one.at_s / end_s:.1f},{_TOP + high * (1 - one.memory_bytes / most):.1f}"
        for one in samples
    )
    floor = _TOP + high
    marks = [
        f'<text x="{_LEFT - 8}" y="{_TOP + high * (1 - share) + 4:.1f}" text-anchor="end">'
        f"{most * share / _MIB:.0f}</text>"
        for share in (0, 0.5, 1)
    ]
    title = "Resident memory of the sidecar under half load, MiB"
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        f'<title id="title">{title}</title>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text class="head" x="{_LEFT}" y="26">{title}</text>',
        *marks,
        f'<path d="M{_LEFT} {_TOP}V{floor}H{_WIDTH - 20}" fill="none" stroke="#d5dae1"/>',
        f'<polyline points="{points}" fill="none" stroke="#0b6e4f" stroke-width="2"/>',
        f'<text x="{_LEFT}" y="{_HEIGHT - 12}">0</text>',
        f'<text x="{_WIDTH - 20}" y="{_HEIGHT - 12}" text-anchor="end">{end_s / 60:.0f} minutes</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
