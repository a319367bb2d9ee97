"""`cliproxy top`: who does the work now: last minute's traffic by provider, the busiest first."""

from typing import Any, Final

from cliproxy_api.kinds import PROVIDER
from cliproxy_api.money import parse_nano_usd
from cliproxy_cli.context import Context
from cliproxy_cli.output import Cell, Colour
from cliproxy_cli.parser import Subparsers, add_command
from cliproxy_cli.shown import phase

COLUMNS: Final = ["NAME", "PHASE", "REQ/MIN", "ERRORS", "ERR%", "AVG", "P95", "TOKENS/MIN", "TODAY", "MONTH"]
FIELDS: Final = {
    "requests": "requestsLastMinute",
    "errors": "errorsLastMinute",
    "latency": "p95LatencyMs",
    "tokens": "tokensLastMinute",
}
MUCH: Final = 0.05


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = add_command(
        subparsers,
        "top",
        run,
        summary="the last minute by provider: requests, errors, latency, tokens",
        all_namespaces=True,
        watch=True,
    )
    parser.add_argument(
        "--by",
        choices=(*FIELDS, "cost"),
        metavar="FIGURE",
        help=f"sort by {', '.join(FIELDS)} or cost (requests)",
    )


def run(context: Context) -> int:
    """Print it."""
    day = context.now_utc().date().isoformat()
    rows = [_figures(one, day) for one in context.kube.items(PROVIDER, context.namespace)]
    by = context.option("by", "requests")
    rows.sort(
        key=lambda row: (-(row["today"] if by == "cost" else row[FIELDS[by]]), row["namespace"], row["name"])
    )
    if context.form != "table":
        context.dump([{name: value for name, value in row.items() if name != "status"} for row in rows])
        return 0
    wide = context.namespace is None
    columns = ["NAMESPACE", *COLUMNS] if wide else COLUMNS
    context.table(columns, [_row(row, wide=wide) for row in rows], right=COLUMNS[2:])
    return 0


def _figures(one: dict[str, Any], day: str) -> dict[str, Any]:
    status = one.get("status") or {}
    traffic, cost = status.get("traffic") or {}, status.get("cost") or {}
    same_day, same_month = cost.get("day") == day, str(cost.get("day"))[:7] == day[:7]
    return {
        "namespace": str(one["metadata"]["namespace"]),
        "name": str(one["metadata"]["name"]),
        "phase": phase(status).text,
        **{field: int(traffic.get(field) or 0) for field in FIELDS.values()},
        "averageLatencyMs": int(traffic.get("averageLatencyMs") or 0),
        "today": _dollars(cost.get("today")) if same_day else 0.0,
        "thisMonth": _dollars(cost.get("thisMonth")) if same_month else 0.0,
        "status": status,
    }


def _row(row: dict[str, Any], *, wide: bool) -> list[Cell | str]:
    requests, errors = row["requestsLastMinute"], row["errorsLastMinute"]
    share = errors / requests if requests else 0.0
    cells: list[Cell | str] = [
        row["name"],
        phase(row["status"]),
        f"{requests:,}",
        f"{errors:,}",
        Cell(f"{share:.1%}", Colour.RED if share > MUCH else Colour.PLAIN),
        f"{row['averageLatencyMs']} ms",
        f"{row['p95LatencyMs']} ms",
        f"{row['tokensLastMinute']:,}",
        f"{row['today']:,.2f}",
        f"{row['thisMonth']:,.2f}",
    ]
    return [row["namespace"], *cells] if wide else cells


def _dollars(text: Any) -> float:
    try:
        return parse_nano_usd(str(text or "0")) / 10**9
    except ValueError:
        return 0.0
