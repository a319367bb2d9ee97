"""The fleet's costs as `GET /v0/operations/costs` tells them: sums by key to JSON-ready values."""

from collections.abc import Iterator, Mapping
from typing import Any

from cliproxy_api.costview import sums
from cliproxy_api.report import UsedEntry
from cliproxy_operator.money.figures import Figures
from cliproxy_operator.money.totals import Key


def costs_body(
    today: Mapping[Key, Figures],
    month: Mapping[Key, Figures],
    *,
    report: dict[str, Any],
    day: str,
    namespace: str | None,
) -> dict[str, Any]:
    """Return what the fleet has used today and this month, as told to this leader, and the report of status.

    `namespace`: of its providers, and of its consumers at other namespaces' providers.
    """
    return {
        "scope": "fleet",
        "currency": "USD",
        "today": {"day": day, **sums(_used(today, namespace), {})},
        "this_month": {"month": day[:7], **sums(_used(month, namespace), {})},
        "report": report,
    }


def _used(details: Mapping[Key, Figures], namespace: str | None) -> Iterator[UsedEntry]:
    for (provider, model, consumer), one in details.items():
        if namespace is None or namespace in (provider.partition("/")[0], consumer.partition("/")[0]):
            yield UsedEntry(
                day="",
                provider=provider,
                model=model,
                consumer=consumer,
                requests=one.requests,
                tokens=one.tokens,
                nano_usd=one.nano_usd,
                estimated_nano_usd=one.estimated_nano_usd,
                reused=one.reused,
                saved_nano_usd=one.saved_nano_usd,
            )
