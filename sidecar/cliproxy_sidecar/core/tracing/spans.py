"""One finished request as one span: its name, its attributes, its attempts as events.

Prompts, answers' texts and keys never come here: what a span may say is what `Account` and `Ended` have a
field for. The attributes are listed for users in docs/tracing.md.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.decisions import Choice, Trail
from cliproxy_sidecar.core.dialect import Operation
from cliproxy_sidecar.core.target import TargetId
from cliproxy_sidecar.core.tracing.names import ProviderNames, operation_name
from cliproxy_sidecar.core.tracing.otlp import (
    EVENT,
    SPAN,
    Key,
    Kind,
    Timed,
    Value,
    event,
    failed,
    named,
    span,
    times,
)
from cliproxy_sidecar.core.tracing.told import NOTHING, Told
from cliproxy_sidecar.core.usage import Usage

MAX_ENTRIES: Final = 128
"""Of a trail that become events; requests have at most 20 attempts, each after a choice or two."""
MAX_KNOWN: Final = 1024
"""Kinds of requests, and of attempts, that are kept encoded: few repeat often, callers could make many."""
_TRIED: Final = 6
"""Fields of an attempt's end in a trail (see `core.decisions.Tried`)."""

_AttemptKey = tuple[TargetId, OutcomeClass, int | None, str | None]

# Enum members by name: looking one up in its class costs ten times as much.
_CLIENT: Final = Kind.CLIENT
_SERVER: Final = Kind.SERVER
_REQUEST_ID: Final = Key(SPAN, "cliproxy.request_id")
_RESPONSE_ID: Final = Key(SPAN, "gen_ai.response.id")
_INPUT: Final = Key(SPAN, "gen_ai.usage.input_tokens")
_OUTPUT: Final = Key(SPAN, "gen_ai.usage.output_tokens")
_CACHE_READ: Final = Key(SPAN, "gen_ai.usage.cache_read.input_tokens")
_CACHE_WRITE: Final = Key(SPAN, "gen_ai.usage.cache_creation.input_tokens")
_REASONING: Final = Key(SPAN, "gen_ai.usage.reasoning.output_tokens")
_COST: Final = Key(SPAN, "cliproxy.cost_usd")
_LACK: Final = Key(EVENT, "cliproxy.reason")


class Account(Protocol):
    """What is known of a finished request; times are monotonic seconds. It is read, not kept."""

    request_id: str
    provider: str | None
    stream: bool
    attempts: int
    usage: Usage
    cost_nano_usd: int
    cache: str | None
    trail: Trail | None
    started_s: float
    first_content_s: float | None

    @property
    def known_model(self) -> str | None:
        """As the caller named it; None: it is not served here, so the name is anybody's text."""
        ...

    @property
    def consumer(self) -> str:
        """Name of the caller; "" where callers have none."""
        ...


class Ended(msgspec.Struct):
    """How a request has ended."""

    method: str
    operation: Operation | None
    status: int
    """0: nothing was sent."""
    failure: str | None
    """Outcome class or kind of our own refusal; None: it went well."""
    at_s: float


class Encoder:
    """Makes the spans of one snapshot's requests; what many of them have in common is encoded once."""

    def __init__(self, names: Mapping[str, ProviderNames]) -> None:
        """`names`: of the snapshot's providers, by name."""
        self._names = names
        self._common: dict[tuple[Any, ...], bytes] = {}
        self._attempts: dict[_AttemptKey, Timed] = {}

    def encode(
        self, done: Account, ended: Ended, place: bytes, *, unix_s: float, told: Told = NOTHING, sampled: bool
    ) -> bytes:
        """Return the span, ready to stand in a batch.

        `place`: see `otlp`. `unix_s`: when the request ended, since 1970. `sampled`: chosen at the begin;
        False: recorded because the request has failed.
        """
        key = (
            ended.operation,
            ended.method,
            done.known_model,
            done.provider,
            ended.status,
            ended.failure,
            done.stream,
            done.attempts,
            done.consumer,
            done.cache,
            done.usage.estimated,
            sampled,
            told.model,
            told.reasons,
        )
        common = self._common.get(key) or self._learn(key)
        epoch_s = unix_s - ended.at_s
        took = times(int((epoch_s + done.started_s) * 1e9), int((epoch_s + ended.at_s) * 1e9))
        parts = [place, common, took, _REQUEST_ID.text(done.request_id)]
        if told.response_id:
            parts.append(_RESPONSE_ID.text(told.response_id))
        usage = done.usage
        if usage.input or usage.output or usage.total:
            _add_usage(parts, usage)
        if done.cost_nano_usd:
            parts.append(_COST.any(done.cost_nano_usd / NANO_USD_PER_USD))
        if done.trail is not None:
            first_s = done.first_content_s
            first_ns = 0 if first_s is None else int((epoch_s + first_s) * 1e9)
            self._add_events(parts, done.trail, first_ns, epoch_s)
        return span(parts)

    def _add_events(self, parts: list[bytes], trail: Trail, first_content_ns: int, epoch_s: float) -> None:
        """Add attempts, waits and the first content in the order in which they happened."""
        for entry in trail[:MAX_ENTRIES]:
            if isinstance(entry, Choice):
                if not entry.lack:
                    continue
                at_ns = int((epoch_s + entry.at) * 1e9)
                made = event("cliproxy.no_target", at_ns, _LACK.text(entry.lack))
            elif len(entry) == _TRIED:
                at_ns = int((epoch_s + entry[0]) * 1e9)
                key = entry[1:5]
                made = (self._attempts.get(key) or self._learn_attempt(key)).event(entry[5], at_ns)
            else:
                continue
            if 0 < first_content_ns <= at_ns:
                parts.append(event("cliproxy.first_content", first_content_ns))
                first_content_ns = 0
            parts.append(made)
        if first_content_ns:
            parts.append(event("cliproxy.first_content", first_content_ns))

    def _learn(self, key: tuple[Any, ...]) -> bytes:
        """Encode what requests of a kind have in common."""
        if len(self._common) >= MAX_KNOWN:
            self._common.clear()
        found = self._common[key] = _common(key, self._names)
        return found

    def _learn_attempt(self, key: _AttemptKey) -> Timed:
        """Encode what attempts at a target with the same end have in common."""
        if len(self._attempts) >= MAX_KNOWN:
            self._attempts.clear()
        found = self._attempts[key] = Timed("cliproxy.attempt", _attempt(*key), "cliproxy.duration_ms")
        return found


def _add_usage(parts: list[bytes], usage: Usage) -> None:
    read, written, reasoning = usage.cached_input, usage.cache_write, usage.reasoning
    parts.append(_INPUT.number(usage.input + read + written))
    parts.append(_OUTPUT.number(usage.output + reasoning))
    if read:
        parts.append(_CACHE_READ.number(read))
    if written:
        parts.append(_CACHE_WRITE.number(written))
    if reasoning:
        parts.append(_REASONING.number(reasoning))


def _common(key: tuple[Any, ...], providers: Mapping[str, ProviderNames]) -> bytes:
    """Return what depends on nothing but this (see `Encoder.encode`)."""
    (operation, method, model, provider, status, failure, stream) = key[:7]
    (attempts, consumer, cache, estimated, sampled, response_model, reasons) = key[7:]
    action, names = operation_name(operation), providers.get(provider or "")
    name = action or method
    if action and model is not None:
        name = f"{action} {model}"
    values: dict[str, Value | None] = {
        "gen_ai.operation.name": action or None,
        "gen_ai.provider.name": names.name if names is not None else None,
        "gen_ai.system": names.name if names is not None else None,
        "server.address": (names.host or None) if names is not None else None,
        "server.port": names.port if names is not None and names.host else None,
        "gen_ai.request.model": model,
        "gen_ai.response.model": response_model or None,
        "gen_ai.response.finish_reasons": reasons or None,
        "http.request.method": method,
        "http.route": operation.path if operation is not None else None,
        "http.response.status_code": status or None,
        "error.type": failure,
        "cliproxy.attempts": attempts,
        "cliproxy.stream": stream,
        "cliproxy.provider": provider,
        "cliproxy.consumer": consumer or None,
        "cliproxy.cache": cache,
        "cliproxy.usage.estimated": estimated or None,
        "cliproxy.sampled_by": None if sampled else "error",
    }
    # The conventions call an inference a client's call; what we answer ourselves is a server's.
    kind = _CLIENT if attempts else _SERVER
    return named(name, kind) + _written(SPAN, values) + (failed(failure) if failure is not None else b"")


def _attempt(target: TargetId, cls: OutcomeClass, status: int | None, code: str | None) -> bytes:
    provider, credential, model = target
    values: dict[str, Value | None] = {
        "cliproxy.provider": provider,
        "cliproxy.credential": credential,
        "cliproxy.upstream_model": model,
        "cliproxy.outcome": cls.value,
        "http.response.status_code": status,
        "cliproxy.code": code,
    }
    return _written(EVENT, values)


def _written(number: int, values: Mapping[str, Value | None]) -> bytes:
    return b"".join([Key(number, key).any(value) for key, value in values.items() if value is not None])
