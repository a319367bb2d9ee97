"""The shape in which sidecars and operator tell costs: `GET /v0/operations/costs`.

Sums only; where the figures come from is the asked one's business.
"""

from collections.abc import Iterable
from typing import Any

from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_api.report import UsedEntry


def sums(entries: Iterable[UsedEntry], names: dict[str, str]) -> dict[str, Any]:
    """Return what entries come to: in all, by provider, by model, by consumer.

    `names` gives providers' names by id; others keep their id. Money is dollars with nine decimals at most;
    `estimated_share` is the part of the cost, 0 to 1, that stands on tokens which no provider has counted;
    `reused` requests got another's answer, which had cost `saved_usd` when it was made.
    """
    total = [0] * 6
    parts: tuple[dict[str, list[int]], ...] = ({}, {}, {})
    for entry in entries:
        figures = (
            entry.requests,
            entry.tokens,
            entry.nano_usd,
            entry.estimated_nano_usd,
            entry.reused,
            entry.saved_nano_usd,
        )
        keys = (names.get(entry.provider, entry.provider), entry.model, entry.consumer)
        for part, key in zip(parts, keys, strict=True):
            _add(part.setdefault(key, [0] * 6), figures)
        _add(total, figures)
    providers, models, consumers = parts
    consumers.pop("", None)
    return {
        **_shown(total),
        "by_provider": {name: _shown(providers[name]) for name in sorted(providers)},
        "by_model": {name: _shown(models[name]) for name in sorted(models)},
        "by_consumer": {name: _shown(consumers[name]) for name in sorted(consumers)},
    }


def _add(total: list[int], figures: tuple[int, ...]) -> None:
    for place, figure in enumerate(figures):
        total[place] += figure


def _shown(figures: list[int]) -> dict[str, Any]:
    requests, tokens, nano_usd, estimated, reused, saved = figures
    return {
        "requests": requests,
        "tokens": tokens,
        "cost_usd": nano_usd / NANO_USD_PER_USD,
        "estimated_share": round(estimated / nano_usd, 4) if nano_usd else 0.0,
        "reused": reused,
        "saved_usd": saved / NANO_USD_PER_USD,
    }
