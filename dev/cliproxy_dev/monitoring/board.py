"""Grafana dashboards as values, and their JSON: what of Grafana's model we use, and no more.

Not grafana-foundation-sdk: twenty megabytes of generated builders for the eight keys that a panel here has.
What stands on the dashboards is `boards`'.
Source: Grafana's dashboard JSON model, schema version 39 (read 2026-11-21).
"""

import json
from dataclasses import dataclass
from typing import Any, Final

SCHEMA_VERSION: Final = 39
COLUMNS: Final = 24
HEIGHT: Final = 8
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel."""

    expr: str
    """PromQL; may hold `$__rate_interval` and the board's variables."""
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture."""

    title: str
    unit: str
    """Grafana's word: percentunit, s, reqps, bytes, currencyUSD, short."""
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    about: str = ""
    """What to do when it looks bad; shown behind the title."""
    width: int = 8


@dataclass(frozen=True, slots=True)
class Variable:
    """One choice at the board's head: values of a label."""

    name: str
    query: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard."""

    uid: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()


def panel(title: str, unit: str, *queries: tuple[str, str] | str, about: str = "", **more: Any) -> Panel:
    """Return a panel of these queries, each an expression or an expression and its legend."""
    lines = tuple(Query(one) if isinstance(one, str) else Query(*one) for one in queries)
    return Panel(title, unit, lines, about=about, **more)


def rendered(board: Board) -> str:
    """Return a board's JSON as it stands in its file."""
    return json.dumps(_model(board), indent=2, ensure_ascii=False) + "\n"


def _model(board: Board) -> dict[str, Any]:
    choices = [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}]
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.about,
        "tags": ["cliproxy"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [*choices, *(_choice(one) for one in board.variables)]},
        "panels": _placed(board.panels),
    }


def _choice(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": variable.query, "refId": variable.name},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    """Return the panels from left to right, row by row."""
    found: list[dict[str, Any]] = []
    x = y = 0
    for number, one in enumerate(panels, start=1):
        if x + one.width > COLUMNS:
            x, y = 0, y + HEIGHT
        found.append(_panel(one, number, {"x": x, "y": y, "w": one.width, "h": HEIGHT}))
        x += one.width
    return found


def _panel(one: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    limits: dict[str, Any] = {"unit": one.unit, "min": 0}
    if one.unit == "percentunit":
        limits["max"] = 1
    return {
        "id": number,
        "type": one.kind,
        "title": one.title,
        "description": one.about,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": limits, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + place_), "expr": query.expr, "legendFormat": query.legend or "__auto"}
            for place_, query in enumerate(one.queries)
        ],
    }
