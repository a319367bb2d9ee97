"""How long the fleet takes to hear, over its size, as two curves in SVG. Pure."""

import math
from collections.abc import Callable
from html import escape
from typing import Final

from fleet.figures import Run, Size

_WIDTH: Final = 760
_HEIGHT: Final = 380
_LEFT: Final = 70
_RIGHT: Final = 30
_TOP: Final = 70
_BOTTOM: Final = 60
_STYLE: Final = (
    "text{font-family:system-ui,sans-serif;font-size:13px;fill:#1c2733}"
    ".head{font-size:16px;font-weight:600}.small{font-size:12px;fill:#5a6675}"
)
_CURVES: Final[tuple[tuple[str, str, str, Callable[[Size], float]], ...]] = (
    ("changed object → all run it, p99", "#0b6e4f", "", lambda size: size.apply_all.p99_ms),
    ("changed object → a sidecar runs it, p50", "#0b6e4f", "5 4", lambda size: size.apply.p50_ms),
    ("429 → another refrains, p99", "#b5452c", "", lambda size: size.trip.p99_ms),
    ("429 → another refrains, p50", "#b5452c", "5 4", lambda size: size.trip.p50_ms),
)


def render(run: Run) -> str:
    """Return the picture; both axes are logarithmic."""
    sizes = [float(size.sidecars) for size in run.sizes]
    values = [value(size) for _, _, _, value in _CURVES for size in run.sizes]
    low, high = 10 ** math.floor(math.log10(max(min(values), 1.0))), 10 ** math.ceil(math.log10(max(values)))
    across = _scale(min(sizes), max(sizes), _LEFT, _WIDTH - _RIGHT)
    upwards = _scale(low, max(high, 10 * low), _HEIGHT - _BOTTOM, _TOP)
    title = "Until the whole fleet has heard"
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}"'
            f' height="{_HEIGHT}" role="img" aria-labelledby="title">'
        ),
        f'<title id="title">{title}</title>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text class="head" x="20" y="28">{title}</text>',
        '<text class="small" x="20" y="48">milliseconds over the number of sidecars</text>',
    ]
    tick = low
    while tick <= max(high, 10 * low):
        y = upwards(tick)
        lines.append(
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#d5dae1"/>'
        )
        lines.append(
            f'<text class="small" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:,.0f} ms</text>'
        )
        tick *= 10
    base = _HEIGHT - _BOTTOM + 20
    for size in sizes:
        x = across(size)
        lines.append(f'<text class="small" x="{x:.1f}" y="{base}" text-anchor="middle">{size:.0f}</text>')
    for number, (name, colour, dash, value) in enumerate(_CURVES):
        points = " ".join(
            f"{across(size.sidecars):.1f},{upwards(max(value(size), low)):.1f}" for size in run.sizes
        )
        style = f'fill="none" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}"'
        lines.append(f'<polyline points="{points}" {style}/>')
        x, y = _LEFT + 10 + (number % 2) * 300, _TOP - 2 + (number // 2) * 18
        lines.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 26}" y2="{y - 4}" {style}/>')
        lines.append(f'<text class="small" x="{x + 32}" y="{y}">{escape(name)}</text>')
    machine = escape(f"{run.machine.get('processor', '')}, {run.date}".strip(", "))
    lines += [f'<text class="small" x="20" y="{_HEIGHT - 14}">{machine}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def _scale(low: float, high: float, begin: float, end: float) -> Callable[[float], float]:
    if high <= low:
        return lambda _value: (begin + end) / 2
    width = math.log(high) - math.log(low)
    return lambda value: begin + (end - begin) * (math.log(value) - math.log(low)) / width
