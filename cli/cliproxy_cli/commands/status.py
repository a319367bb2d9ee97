"""`cliproxy status`: every provider's state in one table, from what the operator writes into status."""

from datetime import datetime
from typing import Any

from cliproxy_api.kinds import PROVIDER
from cliproxy_cli.context import Context
from cliproxy_cli.output import Cell, Colour
from cliproxy_cli.parser import Subparsers, add_command
from cliproxy_cli.shown import left, phase, synced


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    add_command(
        subparsers,
        "status",
        run,
        summary="providers: phase, cooldown and why, traffic, sidecars in step",
        description="Providers: phase, cooldown and why, traffic, sidecars in step, by the objects' status.",
        all_namespaces=True,
        watch=True,
    )


def run(context: Context) -> int:
    """Print it; 0 always: a cooling provider is no failure of the command."""
    objects = context.kube.items(PROVIDER, context.namespace)
    if context.form != "table":
        context.dump([_view(one) for one in objects])
        return 0
    if not objects:
        where = f"namespace {context.namespace}" if context.namespace else "any namespace"
        context.note(f"no LLMProviders in {where}; look everywhere with -A")
        return 0
    now_utc = context.now_utc()
    columns = ["NAME", "PHASE", "COOLDOWN", "REASON", "REQ/MIN", "ERRORS", "P95", "SYNCED", "TODAY"]
    rows = [_row(one, now_utc) for one in objects]
    if context.namespace is None:
        columns = ["NAMESPACE", *columns]
        rows = [[str(one["metadata"]["namespace"]), *row] for one, row in zip(objects, rows, strict=True)]
    context.table(columns, rows, right=("REQ/MIN", "ERRORS", "P95", "SYNCED", "TODAY"))
    return 0


def _view(one: dict[str, Any]) -> dict[str, Any]:
    meta = one["metadata"]
    return {"name": meta["name"], "namespace": meta["namespace"], "status": one.get("status") or {}}


def _row(one: dict[str, Any], now_utc: datetime) -> list[Cell | str]:
    status = one.get("status") or {}
    traffic, sidecars, cost = (status.get(name) or {} for name in ("traffic", "sidecars", "cost"))
    p95 = traffic.get("p95LatencyMs")
    errors = str(traffic.get("errorsLastMinute", ""))
    today = cost.get("today") if cost.get("day") == now_utc.date().isoformat() else None
    return [
        str(one["metadata"]["name"]),
        phase(status),
        left(status.get("cooldownUntil"), now_utc) if status.get("inCooldown") else "",
        str(status.get("reason") or ""),
        str(traffic.get("requestsLastMinute", "")),
        Cell(errors, Colour.RED if errors not in {"", "0"} else Colour.PLAIN),
        "" if p95 is None else f"{p95} ms",
        synced(sidecars),
        f"${today}" if today is not None else "",
    ]
