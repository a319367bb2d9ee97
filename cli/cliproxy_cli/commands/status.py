"""`cliproxy status`: every provider's state in one table, from what the operator writes into status."""

from datetime import datetime
from typing import Any, Final

from cliproxy_api.durations import format_duration
from cliproxy_api.kinds import PROVIDER
from cliproxy_api.vocabulary import ProviderPhase
from cliproxy_cli.context import Context
from cliproxy_cli.output import Cell, Colour
from cliproxy_cli.parser import Subparsers, add_command

COLOURS: Final = {
    ProviderPhase.HEALTHY: Colour.GREEN,
    ProviderPhase.DEGRADED: Colour.YELLOW,
    ProviderPhase.COOLING_DOWN: Colour.YELLOW,
    ProviderPhase.UNHEALTHY: Colour.RED,
    ProviderPhase.MISCONFIGURED: Colour.RED,
    ProviderPhase.DISABLED: Colour.DIM,
    ProviderPhase.UNKNOWN: Colour.DIM,
}


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
    phase = str(status.get("phase") or "Unknown")
    traffic, sidecars, cost = (status.get(name) or {} for name in ("traffic", "sidecars", "cost"))
    p95 = traffic.get("p95LatencyMs")
    errors = str(traffic.get("errorsLastMinute", ""))
    today = cost.get("today") if cost.get("day") == now_utc.date().isoformat() else None
    return [
        str(one["metadata"]["name"]),
        Cell(phase, COLOURS.get(ProviderPhase(phase), Colour.PLAIN)),
        left(status.get("cooldownUntil"), now_utc) if status.get("inCooldown") else "",
        str(status.get("reason") or ""),
        str(traffic.get("requestsLastMinute", "")),
        Cell(errors, Colour.RED if errors not in {"", "0"} else Colour.PLAIN),
        "" if p95 is None else f"{p95} ms",
        synced(sidecars),
        f"${today}" if today is not None else "",
    ]


def synced(sidecars: dict[str, Any]) -> Cell:
    """Return how many sidecars run the present configuration, of how many."""
    if not sidecars:
        return Cell("")
    now, of = sidecars.get("synced", 0), sidecars.get("total", 0)
    return Cell(f"{now}/{of}", Colour.PLAIN if now == of else Colour.YELLOW)


def left(until: str | None, now_utc: datetime) -> str:
    """Return how long an instant is away, in whole seconds; "ending" when it has passed, "" if none."""
    if not until:
        return ""
    seconds = int((datetime.fromisoformat(until) - now_utc).total_seconds())
    return format_duration(seconds) if seconds > 0 else "ending"
