"""A joined answer told apart: each request's embeddings with its own indexes, and its share of the usage.

The embeddings themselves pass byte for byte. Nothing raises: an answer that cannot be told apart is None.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.usage import Usage


class _Answer(msgspec.Struct):
    data: list[dict[str, msgspec.Raw]]
    usage: dict[str, Any] | None = None


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_INDEX: Final = msgspec.json.Decoder(int)
_encode: Final = msgspec.json.Encoder().encode


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Return whole shares of `total` in proportion to the weights (each at least 0), which sum up to it.

    What division leaves goes to the largest remainders, of equal ones to the first.
    """
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    shares = [total * weight // whole for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda at: (-(total * weights[at] % whole), at))
    for at in by_rest[: total - sum(shares)]:
        shares[at] += 1
    return shares


def apportion_usage(usage: Usage, weights: Sequence[int]) -> list[Usage]:
    """Return shares of a usage, bucket by bucket."""
    buckets = {
        name: apportion(getattr(usage, name), weights)
        for name in ("input", "cached_input", "cache_write", "output", "reasoning")
    }
    return [
        Usage(estimated=usage.estimated, **{name: shares[at] for name, shares in buckets.items()})
        for at in range(len(weights))
    ]


def split(body: bytes, counts: Sequence[int], weights: Sequence[int]) -> list[bytes] | None:
    """Return the answer of each request, in the order in which they were joined.

    `counts` are their numbers of inputs, `weights` their estimated tokens.
    """
    try:
        answer, fields = _ANSWER.decode(body), _FIELDS.decode(body)
        by_index = {_INDEX.decode(item["index"]): item for item in answer.data}
    except (*JSON_FAULTS, KeyError):
        return None
    if len(answer.data) != sum(counts) or by_index.keys() != set(range(sum(counts))):
        return None
    usages = _usages(answer.usage, weights)
    parts: list[bytes] = []
    first = 0
    for at, count in enumerate(counts):
        data = [{**by_index[first + own], "index": own} for own in range(count)]
        told: dict[str, Any] = {**fields, "data": data}
        if answer.usage is not None:
            told["usage"] = usages[at]
        parts.append(_encode(told))
        first += count
    return parts


def _usages(usage: dict[str, Any] | None, weights: Sequence[int]) -> list[dict[str, Any]]:
    """Return shares of every count; what is no count is told to all."""
    told: list[dict[str, Any]] = [{} for _ in weights]
    for name, value in (usage or {}).items():
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        shares = apportion(value, weights) if is_count else [value] * len(told)
        for one, share in zip(told, shares, strict=True):
            one[name] = share
    return told
