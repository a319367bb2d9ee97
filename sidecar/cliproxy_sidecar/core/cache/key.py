"""Which requests mean the same: one key for all of them, another for every other.

The key covers the consumer, the operation, who serves the model, the query, the headers that change answers,
and the body in one canonical form. Fields and headers that are not known are taken to change the answer; the
few that do not are named here, each with its reason. Nothing raises: a request without a key is not shared.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from cliproxy_sidecar.core.addresses import CREDENTIAL_PARAMETERS
from cliproxy_sidecar.core.dialect import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES, Operation
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.headers import ANTHROPIC_VERSION, CREDENTIALS, Header

FORMAT: Final = b"1"
"""Part of every key; raised when keys of an earlier build would mean something else."""
KEY_BYTES: Final = 20
"""Of the hash: no two requests of a lifetime meet by chance."""

_LABELS: Final = frozenset(
    {
        "user",  # names the end user for the provider's abuse detection
        "safety_identifier",  # its successor
        "metadata",  # labels of a stored answer; a request that has its answer stored has no key
        "prompt_cache_key",  # which of the provider's machines is asked
        "prompt_cache_retention",
    }
)
_WITHOUT_MEANING: Final[dict[str, frozenset[str]]] = {
    CHAT.name: _LABELS,
    COMPLETIONS.name: _LABELS,
    EMBEDDINGS.name: _LABELS,
    MESSAGES.name: frozenset({"metadata"}),  # holds the end user's id, for abuse detection
    RESPONSES.name: frozenset(),  # its answers repeat them all
}
"""Fields that leave the answer as it is. Sources: OpenAI API reference, Anthropic API documentation (read
2026-11)."""
_OF_PROVIDERS: Final = (b"anthropic-", b"openai-")
"""Versions and betas change answers; organisations and projects are credentials and go nowhere."""
_LISTS: Final = frozenset({b"anthropic-beta", b"openai-beta"})
"""Their values are sets, written in any order."""


class _UnequalError(ValueError):
    """A number that has no canonical form."""


def _number(text: str) -> int | float:
    """Read 1.0 as 1: to JSON they are the same number."""
    value = float(text)
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 -- NaN is not itself
        raise _UnequalError(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


_DECODER: Final = msgspec.json.Decoder(dict[str, Any], float_hook=_number)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_FAULTS: Final = (*JSON_FAULTS, OverflowError)


def fields_of(body: bytes) -> dict[str, Any] | None:
    """Return a body's fields with numbers in one form; None: it has no canonical form.

    Of a repeated key the last counts, as for `core.body`.
    """
    try:
        return _DECODER.decode(body)
    except _FAULTS:
        return None


def canonical(value: object) -> bytes | None:
    """Return the one form of a decoded JSON value; None: it has none."""
    try:
        return _ENCODER.encode(value)
    except _FAULTS:
        return None


def request_key(
    fields: dict[str, Any],
    operation: Operation,
    *,
    consumer: str,
    model: str,
    served: bytes,
    query: bytes,
    headers: Iterable[Header],
    labels: bool = False,
) -> bytes | None:
    """Return the key of a request, 20 bytes; None: it is not to be answered by another's answer.

    `labels`: fields that leave the answer as it is count as well.

    `fields` is the body as `fields_of` gives it, which names the model in some formats only. `served` names
    who may answer (providers and upstream models), so that a model that is moved is asked anew.
    """
    if not _is_repeatable(fields):
        return None
    ignored = frozenset() if labels else _WITHOUT_MEANING.get(operation.name, frozenset())
    kept = {name: value for name, value in fields.items() if name not in ignored}
    if kept.get("stream") is not True:
        kept.pop("stream", None)
    body = canonical(kept)
    if body is None:
        return None
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    texts = (consumer.encode(), model.encode("utf-8", "replace"), operation.name.encode())
    for part in (FORMAT, *texts, served, _asked(query), body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    for name, value in _telling(headers, operation):
        digest.update(b"%d:%d:" % (len(name), len(value)))
        digest.update(name)
        digest.update(value)
    return digest.digest()


def _asked(query: bytes) -> bytes:
    """Return a query without keys in it."""
    if not query:
        return query
    parts = [part for part in query.split(b"&") if part]
    return b"&".join([part for part in parts if part.partition(b"=")[0].lower() not in CREDENTIAL_PARAMETERS])


def _is_repeatable(fields: dict[str, Any]) -> bool:
    """Whether the answer is all that the request is about: nothing is left behind at the provider.

    What the Responses API stores by itself may be told twice; what a caller has stored on purpose may not.
    """
    if fields.get("background") or fields.get("conversation") is not None:
        return False
    return fields.get("store") is not True


def _telling(headers: Iterable[Header], operation: Operation) -> list[Header]:
    """Return the headers that change answers, in one order."""
    found = [
        (name, _as_set(value) if name in _LISTS else value)
        for name, value in headers
        if name.startswith(_OF_PROVIDERS) and name not in CREDENTIALS
    ]
    if operation.dialect is MESSAGES.dialect and not any(name == b"anthropic-version" for name, _ in found):
        found.append((b"anthropic-version", ANTHROPIC_VERSION))
    return sorted(found)


def _as_set(value: bytes) -> bytes:
    return b",".join(sorted({item.strip() for item in value.split(b",")} - {b""}))
