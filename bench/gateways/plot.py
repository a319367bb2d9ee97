"""Requests per second as horizontal bars, in SVG. Pure."""

from html import escape
from typing import Final

from gateways.figures import Race, Result

_WIDTH: Final = 760
_NAME_WIDTH: Final = 250
_VALUE_WIDTH: Final = 90
_BAR: Final = 24
_STEP: Final = 36
_TOP: Final = 66
_CONNECTIONS: Final = 32
_COLOURS: Final = {"ours": "#0b6e4f", "gateway": "#8a95a5", "limit": "#d5dae1"}
_STYLE: Final = (
    "text{font-family:system-ui,sans-serif;font-size:13px;fill:#1c2733}"
    ".head{font-size:16px;font-weight:600}.small{font-size:12px;fill:#5a6675}.ours{font-weight:600}"
)


def render(race: Race) -> str:
    """Return the picture; the base line is no bar, as it says nothing about a gateway."""
    results = [result for result in race.results if result.kind in _COLOURS]
    results.sort(key=_rate, reverse=True)
    most = max((_rate(result) for result in results), default=1.0) or 1.0
    height = _TOP + _STEP * len(results) + 34
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}"'
            f' height="{height}" role="img" aria-labelledby="title">'
        ),
        '<title id="title">Requests per second on one core</title>',
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text class="head" x="20" y="28">Requests per second on one core</text>',
        (
            f'<text class="small" x="20" y="48">chat completion of about 1 KB, {_CONNECTIONS} connections; '
            "pale bars do nothing for LLMs</text>"
        ),
    ]
    for row, result in enumerate(results):
        lines += _bar(result, _TOP + row * _STEP, most)
    machine = escape(f"{race.machine.get('processor', '')}, {race.date}".strip(", "))
    lines += [f'<text class="small" x="20" y="{height - 14}">{machine}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def _bar(result: Result, y: int, most: float) -> list[str]:
    rate = _rate(result)
    width = max(1.0, (_WIDTH - _NAME_WIDTH - _VALUE_WIDTH) * rate / most)
    name, style = escape(result.title), "ours" if result.kind == "ours" else "other"
    base = y + _BAR - 7
    return [
        f'<text class="{style}" x="{_NAME_WIDTH - 10}" y="{base}" text-anchor="end">{name}</text>',
        (
            f'<rect x="{_NAME_WIDTH}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="3"'
            f' fill="{_COLOURS[result.kind]}"/>'
        ),
        f'<text class="{style}" x="{_NAME_WIDTH + width + 8:.1f}" y="{base}">{rate:,.0f}</text>',
    ]


def _rate(result: Result) -> float:
    return result.loads[_CONNECTIONS].requests_per_s
