"""`cliproxy cost`: what the fleet has spent and what would have cost less, from the objects' status.

The figures and sentences are `cliproxy_api.costs`'; the operator's API tells the same.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

from cliproxy_api.costs.report import cost_report
from cliproxy_api.costs.spent import ConsumerTotals, ProviderSpent, consumers_spent, provider_spent
from cliproxy_api.kinds import PROFILE, PROVIDER
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import parse_as
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_cli.context import Context
from cliproxy_cli.output import Cell, Colour, paint
from cliproxy_cli.parser import Subparsers, add_command

CSV_COLUMNS = ("by", "name", "provider", "period", "requests", "tokens", "cost_usd")


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    add_command(
        subparsers,
        "cost",
        run,
        summary="spend by provider, model, consumer and day; savings, trend, advice",
        description="Spend by provider, model, consumer and day, what caches saved, the trend, the month as\n"
        "it may end, and what would have cost less, with the arithmetic. From the objects' status (UTC).",
        forms=("table", "json", "yaml", "csv"),
        all_namespaces=True,
    )


def run(context: Context) -> int:
    """Print the report."""
    report = cost_report(*read(context), context.now_utc())
    if context.form in {"json", "yaml"}:
        context.dump(report)
    elif context.form == "csv":
        context.print(as_csv(report))
    else:
        _tables(context, report)
    return 0


def read(context: Context) -> tuple[list[ProviderSpent], list[ConsumerTotals]]:
    """Read providers and consumers; objects that cannot be understood are named and left out."""
    today = context.now_utc().date()
    providers: list[ProviderSpent] = []
    consumers: list[ConsumerTotals] = []
    for body in context.kube.items(PROVIDER, context.namespace):
        meta = body["metadata"]
        one = parse_as(LLMProvider, body)
        if isinstance(one, LLMProvider):
            cost = one.status.cost
            providers.append(provider_spent(meta["namespace"], meta["name"], one.spec, cost, today))
        else:
            context.note(f"left out: {meta['namespace']}/{meta['name']}: {one.problems[0]}")
    for body in context.kube.items(PROFILE, context.namespace):
        meta = body["metadata"]
        profile = parse_as(ProxyProfile, body)
        if isinstance(profile, ProxyProfile):
            consumers += consumers_spent(meta["namespace"], meta["name"], profile.status.consumers, today)
        else:
            context.note(f"left out: {meta['namespace']}/{meta['name']}: {profile.problems[0]}")
    return providers, consumers


def as_csv(report: dict[str, Any]) -> str:
    """Return the report's figures, one a line: by what, its name, of which provider, of which period."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(_csv_rows(report))
    return text.getvalue().rstrip("\n")


def _csv_rows(report: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    day, month = report["day"], report["month"]
    for one in report["by_provider"]:
        name = one["provider"]
        yield "provider", name, name, day, "", "", one["today_usd"]
        yield "provider", name, name, month, "", "", one["this_month_usd"]
    for one in report["by_model"]:
        yield "model", one["model"], one["provider"], month, one["requests"], _tokens(one), one["cost_usd"]
    for one in report["by_consumer"]:
        yield "consumer", one["consumer"], "", day, "", "", one["today_usd"]
        yield "consumer", one["consumer"], "", month, "", "", one["this_month_usd"]
    for one in report["by_day"]:
        yield "day", one["day"], "", one["day"], "", "", one["cost_usd"]


def _tokens(one: dict[str, Any]) -> int:
    return sum(value for name, value in one.items() if name.endswith("_tokens"))


def _tables(context: Context, report: dict[str, Any]) -> None:
    _summary(context, report)
    _section(
        context,
        "BY PROVIDER",
        ["PROVIDER", "TODAY", report["month"], "SHARE"],
        [
            [one["provider"], _usd(one["today_usd"]), _usd(one["this_month_usd"]), f"{one['share']:.0%}"]
            for one in report["by_provider"]
        ],
    )
    _section(
        context,
        f"BY MODEL, {report['month']}",
        ["MODEL", "PROVIDER", "REQUESTS", "TOKENS", "CACHED", "COST", "SAVED"],
        [
            [
                one["model"],
                one["provider"],
                f"{one['requests']:,}",
                f"{_tokens(one):,}",
                f"{one['cached_input_tokens']:,}",
                _usd(one["cost_usd"]),
                _usd(one["saved_usd"]) if one["saved_usd"] else "",
            ]
            for one in report["by_model"]
        ],
    )
    _section(
        context,
        "BY CONSUMER",
        ["CONSUMER", "TODAY", "WEEK", report["month"]],
        [
            [one["consumer"], *(_usd(one[name]) for name in ("today_usd", "this_week_usd", "this_month_usd"))]
            for one in report["by_consumer"]
        ],
    )
    _section(
        context, "BY DAY", ["DAY", "COST"], [[one["day"], _usd(one["cost_usd"])] for one in report["by_day"]]
    )
    _advice(context, report["recommendations"])


def _summary(context: Context, report: dict[str, Any]) -> None:
    trend, ahead, cache = report["trend"], report["projected_month"], report["cache"]
    change = trend["change"]
    told = f"{change:+.0%} on the 7 before" if change is not None else trend["unknown_because"]
    lines = [
        ("today", _usd(report["today_usd"]), ""),
        ("this month", _usd(report["this_month_usd"]), ""),
        ("last 7 days", _usd(trend["last_7_days_usd"]), told),
        (
            "projected month",
            _usd(ahead["usd"]) if ahead["usd"] is not None else "unknown",
            ahead.get("arithmetic") or ahead["unknown_because"],
        ),
        (
            "saved by prompt caches",
            _usd(cache["prompt_cache"]["saved_usd"]),
            cache["prompt_cache"]["arithmetic"],
        ),
        (
            "saved by reused answers",
            _usd(cache["reused_answers"]["saved_usd"]),
            cache["reused_answers"]["arithmetic"],
        ),
    ]
    context.table(
        ["SPENT", "USD", "HOW"],
        [[name, figure, Cell(how, Colour.DIM)] for name, figure, how in lines],
        right=("USD",),
    )


def _section(context: Context, title: str, columns: list[str], rows: list[list[str]]) -> None:
    if rows:
        context.print(f"\n{paint(title, Colour.CYAN, colours=context.colours)}")
        named = {"MODEL", "PROVIDER", "CONSUMER", "DAY"}
        context.table(columns, rows, right=[name for name in columns if name not in named])


def _advice(context: Context, found: list[dict[str, Any]]) -> None:
    title = paint("RECOMMENDATIONS", Colour.CYAN, colours=context.colours)
    context.print(f"\n{title}")
    if not found:
        context.print("none: nothing that was used would have cost less by the prices in these objects")
    for number, one in enumerate(found, start=1):
        context.print(f"{number}. {one['text']}.")
        if one["arithmetic"]:
            context.print(f"   {one['arithmetic']}")
        context.print(f"   {paint('do:', Colour.BOLD, colours=context.colours)} {one['do']}")


def _usd(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 0.01 or amount == 0 else f"{amount:,.4f}"  # noqa: PLR2004 -- a cent
