"""One finished request as one span: its name, its attributes, its attempts as events.

Prompts, answers' texts and keys never come here: what a span may say is what `Finished` has a field for.
The attributes are listed for users in docs/tracing.md.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.decisions import Choice, Trail
from cliproxy_sidecar.core.dialect import Operation
from cliproxy_sidecar.core.target import TargetId
from cliproxy_sidecar.core.tracing.context import MAX_STATE_BYTES
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
)
from cliproxy_sidecar.core.tracing.told import NOTHING, Told
from cliproxy_sidecar.core.usage import Usage

MAX_EVENTS: Final = 64
"""Of one span; requests have at most 20 attempts."""
MAX_KNOWN: Final = 1024
"""Kinds of requests, and of attempts, that are kept encoded: few repeat often, callers could make many."""
_TRIED: Final = 6
"""Fields of an attempt's end in a trail (see `core.decisions.Tried`)."""


_REQUEST_ID: Final = Key(SPAN, "cliproxy.request_id")
_RESPONSE_ID: Final = Key(SPAN, "gen_ai.response.id")
_INPUT: Final = Key(SPAN, "gen_ai.usage.input_tokens")
_OUTPUT: Final = Key(SPAN, "gen_ai.usage.output_tokens")
_CACHE_READ: Final = Key(SPAN, "gen_ai.usage.cache_read.input_tokens")
_CACHE_WRITE: Final = Key(SPAN, "gen_ai.usage.cache_creation.input_tokens")
_REASONING: Final = Key(SPAN, "gen_ai.usage.reasoning.output_tokens")
_COST: Final = Key(SPAN, "cliproxy.cost_usd")
_LACK: Final = Key(EVENT, "cliproxy.reason")


class Finished(msgspec.Struct, kw_only=True):
    """What is known when a request has ended; times are monotonic seconds."""

    request_id: str
    method: str
    operation: Operation | None
    model: str | None
    """As the caller named it; None: it is not served here, so the name is anybody's text."""
    provider: str | None
    names: ProviderNames | None = None
    """Of `provider`; one snapshot has one for each."""
    status: int
    """0: nothing was sent."""
    failure: str | None
    """Outcome class or kind of our own refusal; None: it went well."""
    stream: bool
    attempts: int
    usage: Usage
    cost_nano_usd: int
    consumer: str
    cache: str | None
    trail: Trail | None
    started_s: float
    first_content_s: float | None
    ended_s: float


class Identity(msgspec.Struct, frozen=True):
    """Where a span stands in its trace."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes = b""
    state: bytes = b""
    sampled: bool = True
    """Chosen at the begin; False: recorded because the request has failed."""


class Encoder:
    """Makes the spans of one snapshot's requests; what many of them have in common is encoded once."""

    def __init__(self) -> None:
        self._common: dict[tuple[Any, ...], bytes] = {}
        self._attempts: dict[tuple[TargetId, OutcomeClass, int | None, str | None], Timed] = {}

    def encode(
        self, done: Finished, identity: Identity, *, ended_unix_ns: int, told: Told = NOTHING
    ) -> bytes:
        """Return the span, ready to stand in a batch."""
        duration_ns = int((done.ended_s - done.started_s) * 1e9)
        return span(
            trace_id=identity.trace_id,
            span_id=identity.span_id,
            parent_id=identity.parent_id,
            state=identity.state[:MAX_STATE_BYTES],
            # The conventions call an inference a client's call; what we answer ourselves is a server's.
            kind=Kind.CLIENT if done.attempts else Kind.SERVER,
            times_ns=(ended_unix_ns - duration_ns, ended_unix_ns),
            parts=self._shared(done, identity, told) + _own(done, told) + self._events(done, ended_unix_ns),
        )

    def _shared(self, done: Finished, identity: Identity, told: Told) -> bytes:
        """Return what requests of a kind have in common."""
        key = (
            done.operation,
            done.method,
            done.model,
            done.provider,
            done.status,
            done.failure,
            done.stream,
            done.attempts,
            done.consumer,
            done.cache,
            done.usage.estimated,
            identity.sampled,
            told.model,
            told.reasons,
        )
        known = self._common
        found = known.get(key)
        if found is None:
            if len(known) >= MAX_KNOWN:
                known.clear()
            found = known[key] = _common(done, identity, told)
        return found

    def _events(self, done: Finished, ended_unix_ns: int) -> bytes:
        """Return attempts, waits and the first content in the order in which they happened."""
        ended_s, found = done.ended_s, []
        for entry in done.trail or ():
            if isinstance(entry, Choice):
                if entry.lack:
                    at_ns = ended_unix_ns - int((ended_s - entry.at) * 1e9)
                    found.append((at_ns, event("cliproxy.no_target", at_ns, _LACK.text(entry.lack))))
            elif len(entry) == _TRIED:
                at, target, cls, status, code, took_ms = entry
                at_ns = ended_unix_ns - int((ended_s - at) * 1e9)
                found.append((at_ns, self._attempt((target, cls, status, code)).event(took_ms, at_ns)))
        if done.first_content_s is not None:
            at_ns = ended_unix_ns - int((ended_s - done.first_content_s) * 1e9)
            found.append((at_ns, event("cliproxy.first_content", at_ns)))
            found.sort()
        return b"".join([made for _, made in found[:MAX_EVENTS]])

    def _attempt(self, key: tuple[TargetId, OutcomeClass, int | None, str | None]) -> Timed:
        """Return what attempts at a target with the same end have in common."""
        known = self._attempts
        found = known.get(key)
        if found is None:
            if len(known) >= MAX_KNOWN:
                known.clear()
            found = known[key] = Timed("cliproxy.attempt", _attempt(*key), "cliproxy.duration_ms")
        return found


def _own(done: Finished, told: Told) -> bytes:
    """Return the attributes that differ from request to request."""
    usage = done.usage
    parts = [_REQUEST_ID.text(done.request_id)]
    if told.response_id:
        parts.append(_RESPONSE_ID.text(told.response_id))
    if usage.total:
        parts.append(_INPUT.number(usage.input + usage.cached_input + usage.cache_write))
        parts.append(_OUTPUT.number(usage.output + usage.reasoning))
        if usage.cached_input:
            parts.append(_CACHE_READ.number(usage.cached_input))
        if usage.cache_write:
            parts.append(_CACHE_WRITE.number(usage.cache_write))
        if usage.reasoning:
            parts.append(_REASONING.number(usage.reasoning))
    if done.cost_nano_usd:
        parts.append(_COST.any(done.cost_nano_usd / NANO_USD_PER_USD))
    return b"".join(parts)


def _common(done: Finished, identity: Identity, told: Told) -> bytes:
    operation, names = operation_name(done.operation), done.names
    name = operation or done.method
    if operation and done.model is not None:
        name = f"{operation} {done.model}"
    values: dict[str, Value | None] = {
        "gen_ai.operation.name": operation or None,
        "gen_ai.provider.name": names.name if names is not None else None,
        "gen_ai.system": names.name if names is not None else None,
        "server.address": (names.host or None) if names is not None else None,
        "server.port": names.port if names is not None and names.host else None,
        "gen_ai.request.model": done.model,
        "gen_ai.response.model": told.model or None,
        "gen_ai.response.finish_reasons": told.reasons or None,
        "http.request.method": done.method,
        "http.route": done.operation.path if done.operation is not None else None,
        "http.response.status_code": done.status or None,
        "error.type": done.failure,
        "cliproxy.attempts": done.attempts,
        "cliproxy.stream": done.stream,
        "cliproxy.provider": done.provider,
        "cliproxy.consumer": done.consumer or None,
        "cliproxy.cache": done.cache,
        "cliproxy.usage.estimated": done.usage.estimated or None,
        "cliproxy.sampled_by": None if identity.sampled else "error",
    }
    status = failed(done.failure) if done.failure is not None else b""
    return named(name) + _written(SPAN, values) + status


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
