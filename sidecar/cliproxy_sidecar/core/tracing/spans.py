"""One finished request as one span: its name, its attributes, its attempts as events.

Prompts, answers' texts and keys never come here: what a span may say is what `Finished` has a field for.
The attributes are listed for users in docs/tracing.md.
"""

from typing import Final

import msgspec

from cliproxy_api.money import NANO_USD_PER_USD
from cliproxy_sidecar.core.decisions import Choice, Trail
from cliproxy_sidecar.core.dialect import Operation
from cliproxy_sidecar.core.tracing.context import MAX_STATE_BYTES
from cliproxy_sidecar.core.tracing.names import ProviderNames, operation_name
from cliproxy_sidecar.core.tracing.otlp import EVENT, SPAN, Kind, event, failed, span
from cliproxy_sidecar.core.tracing.told import NOTHING, Told
from cliproxy_sidecar.core.usage import Usage

MAX_EVENTS: Final = 64
"""Of one span; requests have at most 20 attempts."""
_TRIED: Final = 6
"""Fields of an attempt's end in a trail (see `core.decisions.Tried`)."""


class Finished(msgspec.Struct, kw_only=True):
    """What is known when a request has ended; times are monotonic seconds."""

    request_id: str
    method: str
    operation: Operation | None
    model: str | None
    """As the caller named it; None: it is not served here, so the name is anybody's text."""
    provider: str | None
    names: ProviderNames | None = None
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


def encode(done: Finished, identity: Identity, *, ended_unix_ns: int, told: Told = NOTHING) -> bytes:
    """Return the span, ready to stand in a batch."""
    operation = operation_name(done.operation)
    name = operation or done.method
    if operation and done.model is not None:
        name = f"{operation} {done.model}"
    parts = [
        *_about_model(done, operation, told),
        *_about_call(done, identity),
        *_events(done, ended_unix_ns),
    ]
    if done.failure is not None:
        parts += (SPAN.text("error.type", done.failure), failed(done.failure))
    duration_ns = int((done.ended_s - done.started_s) * 1e9)
    return span(
        trace_id=identity.trace_id,
        span_id=identity.span_id,
        parent_id=identity.parent_id,
        state=identity.state[:MAX_STATE_BYTES],
        name=name,
        # What the conventions call an inference is a client's call; what we answer ourselves is a server's.
        kind=Kind.CLIENT if done.attempts else Kind.SERVER,
        times_ns=(ended_unix_ns - duration_ns, ended_unix_ns),
        parts=b"".join(parts),
    )


def _about_model(done: Finished, operation: str, told: Told) -> list[bytes]:
    usage, names, text = done.usage, done.names, SPAN.text
    parts = [text("gen_ai.operation.name", operation)] if operation else []
    if names is not None:
        parts += (text("gen_ai.provider.name", names.name), text("gen_ai.system", names.name))
        if names.host:
            parts += (text("server.address", names.host), SPAN.one("server.port", names.port))
    if done.model is not None:
        parts.append(text("gen_ai.request.model", done.model))
    if told.model:
        parts.append(text("gen_ai.response.model", told.model))
    if told.response_id:
        parts.append(SPAN.one("gen_ai.response.id", told.response_id))
    if told.reasons:
        parts.append(SPAN.one("gen_ai.response.finish_reasons", told.reasons))
    if usage.total:
        taken = usage.input + usage.cached_input + usage.cache_write
        parts += (
            SPAN.one("gen_ai.usage.input_tokens", taken),
            SPAN.one("gen_ai.usage.output_tokens", usage.output + usage.reasoning),
        )
        if usage.cached_input:
            parts.append(SPAN.one("gen_ai.usage.cache_read.input_tokens", usage.cached_input))
        if usage.cache_write:
            parts.append(SPAN.one("gen_ai.usage.cache_creation.input_tokens", usage.cache_write))
        if usage.reasoning:
            parts.append(SPAN.one("gen_ai.usage.reasoning.output_tokens", usage.reasoning))
        if usage.estimated:
            parts.append(SPAN.one("cliproxy.usage.estimated", value=True))
    return parts


def _about_call(done: Finished, identity: Identity) -> list[bytes]:
    text = SPAN.text
    parts = [
        text("http.request.method", done.method),
        SPAN.one("cliproxy.request_id", done.request_id),
        SPAN.one("cliproxy.attempts", done.attempts),
        SPAN.one("cliproxy.stream", done.stream),
    ]
    if done.operation is not None:
        parts.append(text("http.route", done.operation.path))
    if done.status:
        parts.append(SPAN.one("http.response.status_code", done.status))
    if done.provider is not None:
        parts.append(text("cliproxy.provider", done.provider))
    if done.consumer:
        parts.append(text("cliproxy.consumer", done.consumer))
    if done.cache is not None:
        parts.append(text("cliproxy.cache", done.cache))
    if done.cost_nano_usd:
        parts.append(SPAN.one("cliproxy.cost_usd", done.cost_nano_usd / NANO_USD_PER_USD))
    if not identity.sampled:
        parts.append(text("cliproxy.sampled_by", "error"))
    return parts


def _events(done: Finished, ended_unix_ns: int) -> list[bytes]:
    """Return attempts, waits and the first content in the order in which they happened."""
    ended_s, found = done.ended_s, []
    for entry in (done.trail or ())[:MAX_EVENTS]:
        if isinstance(entry, Choice):
            if entry.lack:
                told = EVENT.text("cliproxy.reason", entry.lack)
                found.append((entry.at, "cliproxy.no_target", told))
        elif len(entry) == _TRIED:
            at, target, cls, status, code, took_ms = entry
            provider, credential, model = target
            told = (
                EVENT.text("cliproxy.provider", provider)
                + EVENT.text("cliproxy.credential", credential)
                + EVENT.text("cliproxy.upstream_model", model)
                + EVENT.text("cliproxy.outcome", cls.value)
                + EVENT.one("cliproxy.duration_ms", float(took_ms))
            )
            if status is not None:
                told += EVENT.one("http.response.status_code", status)
            if code is not None:
                told += EVENT.text("cliproxy.code", code)
            found.append((at, "cliproxy.attempt", told))
    if done.first_content_s is not None:
        found.append((done.first_content_s, "cliproxy.first_content", b""))
        found.sort(key=lambda one: one[0])
    return [event(name, ended_unix_ns - int((ended_s - at) * 1e9), told) for at, name, told in found]
