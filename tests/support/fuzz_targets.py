"""Everything that reads bytes from outside, as targets of fuzzing: seeds, what is fed, what may come out.

A target raises only on a fault: an undeclared exception, or a broken promise. `tests/fuzz` runs each a little
in every test run, and for as long as one likes with `make fuzz`.
"""

import contextlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, get_args

from cliproxy_api import codec
from cliproxy_api.alert_condition import parse_condition
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.money import parse_nano_usd
from cliproxy_api.resources.parse import parse
from cliproxy_api.vocabulary import COUNTED_CLASSES, ProviderType
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.signals import Signal, load_all
from cliproxy_sidecar.core import waits
from cliproxy_sidecar.core.body import BodyError, Peek, RepeatedKeysError, peek, peek_named, with_model
from cliproxy_sidecar.core.cache.key import fields_of, request_key
from cliproxy_sidecar.core.dialect import CHAT, EMBED, GENERATE, MESSAGES, RESPONSES, Dialect
from cliproxy_sidecar.core.errorbody import read_error
from cliproxy_sidecar.core.h1 import AnswerReader
from cliproxy_sidecar.core.h1request import RequestReader
from cliproxy_sidecar.core.hints import read_hint
from cliproxy_sidecar.core.outcome import (
    Response,
    TransportFault,
    classify_end,
    classify_response,
    classify_stream_error,
)
from cliproxy_sidecar.core.sse import SSEParser, SSETooLarge
from cliproxy_sidecar.core.stream import ContentKind, content_kind
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.token_estimate import estimated_count
from cliproxy_sidecar.core.translate.untouched import renamed, untouched
from cliproxy_sidecar.core.usage import UsageMeter
from support import build
from support.answers import ANSWERS
from support.corpus import load
from support.fuzzing import mutated_bytes, mutated_json
from support.translating import CALLERS, encoded, translation

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GOLDEN = Path(__file__).parents[1] / "translate_golden"
CONDITIONS = [
    b"error_rate > 0.05 && p95_latency > 5s",
    b'provider_health == "unhealthy" || rate_limit_count >= 10',
    b"(cost_per_hour > 10.5)",
]
REQUESTS = [
    b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
    b"GET /v1beta/models/a%20b?key=x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
]


@dataclass(frozen=True)
class Target:
    """One reader of foreign bytes. `run` gets a seed and a chance, spoils the seed and feeds it."""

    name: str
    seeds: list[Any]
    run: Callable[[Any, random.Random], None]


def cuts(chance: random.Random, data: bytes) -> Iterator[bytes]:
    """Yield the bytes in pieces."""
    at = 0
    while at < len(data):
        size = chance.choice([1, 3, 17, 200, 5000])
        yield data[at : at + size]
        at += size


# ------------------------------------------------------------------------------ wire
def sse(seed: bytes, chance: random.Random) -> None:
    stream = mutated_bytes(chance, seed)
    parser, out, whole = SSEParser(max_event_bytes=chance.choice([300, 100_000])), b"", True
    for piece in cuts(chance, stream):
        try:
            events = parser.feed(piece)
        except SSETooLarge as large:
            out += b"".join([event.raw for event in large.events]) + large.rest
            whole = False
            break
        for event in events:
            out += event.raw
            classify_end(event.data)
            assert all(content_kind(dialect, event) in ContentKind for dialect in Dialect)
    rest = parser.finish() if whole else None
    out += rest.raw if rest is not None else b""
    assert stream.startswith(out)
    assert out == stream or not whole


def answers(seed: bytes, chance: random.Random) -> None:
    reader = AnswerReader()
    reader.begin(head_only=chance.random() < 0.1)
    for piece in cuts(chance, mutated_bytes(chance, seed)):
        reader.feed(piece)
    reader.end()
    assert reader.error is None or reader.error.kind in get_args(TransportFault)


def requests(seed: bytes, chance: random.Random) -> None:
    reader = RequestReader()
    for piece in cuts(chance, mutated_bytes(chance, seed)):
        reader.feed(piece)
    assert all(isinstance(request.path, str) for request in reader.heads)


def bodies(seed: bytes, chance: random.Random) -> None:
    body = mutated_bytes(chance, seed)
    seen = peek(body)
    if isinstance(seen, Peek):
        changed = peek(with_model(body, seen.model, "other"))
        assert isinstance(changed, Peek)
        assert changed.model == "other"
    assert isinstance(peek_named(body, "m", stream=False), Peek | BodyError)
    for operation in (CHAT, MESSAGES, RESPONSES, GENERATE, EMBED):
        untouched(operation, body, ProviderType.OPENAI)
        with contextlib.suppress(RepeatedKeysError):
            renamed(operation, body, "m", "other")
    fields = fields_of(body)
    if fields is not None:
        request_key(fields, CHAT, model="m", consumer="", served=b"", query=b"", headers=())


def usage(seed: bytes, chance: random.Random) -> None:
    body = mutated_bytes(chance, seed)
    for dialect in Dialect:
        meter, streaming, parser = UsageMeter(dialect), UsageMeter(dialect), SSEParser()
        for piece in cuts(chance, body):
            meter.feed(piece)
            for event in parser.feed(piece):
                streaming.feed_event(event)
        assert min(meter.result().total, streaming.result(request_bytes=9).total) >= 0


# --------------------------------------------------------------------------- signals
def outcomes(seed: Signal, chance: random.Random) -> None:
    headers = {
        name: mutated_bytes(chance, value.encode()).decode("latin-1") if chance.random() < 0.3 else value
        for name, value in seed.headers.items()
    }
    status = chance.choice([seed.status, 200, 400, 429, 500])
    body = mutated_bytes(chance, (seed.stream_event or seed.body).encode())
    provider_type = ProviderType(seed.provider_type)
    outcome = classify_response(provider_type, Response(status, headers, body), now_utc=NOW)
    assert outcome.scope_kind is None or outcome.cls in COUNTED_CLASSES
    assert outcome.hint_s is None or 0 <= outcome.hint_s < float("inf")
    classify_stream_error(provider_type, body, now_utc=NOW)


def hints(seed: bytes, chance: random.Random) -> None:
    text = mutated_bytes(chance, seed).decode("latin-1")
    found = [waits.retry_after_s(text, NOW), waits.reset_s(text, NOW), waits.milliseconds_s(text)]
    found += [waits.duration_s(text), (waits.phrase_s(text) or (None,))[0]]
    assert all(wait is None or 0 <= wait < float("inf") for wait in found)
    names = ("retry-after", "retry-after-ms", "x-ratelimit-reset-requests", "date")
    error = read_error(json.dumps({"error": {"message": text, "resets_in_seconds": text}}).encode(), {})
    read_hint(error, dict.fromkeys(names, text), now_utc=NOW, long=chance.random() < 0.5)


# ------------------------------------------------------------------------ translation
def translate(seed: tuple[str, str, dict[str, Any]], chance: random.Random) -> None:
    caller, kind, case = seed
    request = case["body"] if kind == "request" else case.get("request", {})
    with contextlib.suppress(TranslationError):
        if kind == "request":
            translation(caller, mutated_json(chance, request), **case.get("destination", {}))
            return
        made = translation(caller, request, stream=kind == "stream")
        if kind == "answer":
            whole = json.dumps(mutated_json(chance, case["body"])).encode()
            made.answer(mutated_bytes(chance, whole) if chance.random() < 0.3 else whole)
            return
        stream = encoded(mutated_json(chance, case["events"]))
        translator, parser = made.stream(), SSEParser()
        for piece in cuts(chance, stream if chance.random() < 0.7 else mutated_bytes(chance, stream)):
            translator.feed(parser.feed(piece))
        translator.finish()


def errors(seed: Signal, chance: random.Random) -> None:
    body = mutated_bytes(chance, seed.body.encode())
    for caller in CALLERS:
        assert translation(caller, {}).error(seed.status, body, too_long=chance.random() < 0.5)
    for dialect in (Dialect.ANTHROPIC, Dialect.GEMINI):
        with contextlib.suppress(TranslationError):
            estimated_count(dialect, body)


# ----------------------------------------------------------------------------- control
def documents(seed: bytes, chance: random.Random) -> None:
    data = mutated_bytes(chance, seed)
    states = (codec.decode_state_push, codec.StateReader().read)
    readers = (codec.decode_snapshot_push, *states, codec.decode_report, codec.decode_running)
    for read in readers:
        with contextlib.suppress(codec.DecodeError):
            read(data)


def objects(seed: tuple[str, dict[str, Any]], chance: random.Random) -> None:
    kind, body = seed
    parse(kind, mutated_json(chance, body))


def texts(seed: bytes, chance: random.Random) -> None:
    text = mutated_bytes(chance, seed).decode("latin-1")
    parse_condition(text)
    for read in (parse_duration_s, parse_nano_usd):
        with contextlib.suppress(ValueError):
            read(text)


@cache
def targets() -> tuple[Target, ...]:
    """Return all targets."""
    signals = list(load_all())
    streams = [(one.body + (one.stream_event or "")).encode() for one in signals]
    cases = [
        (*path.parts[-3].rsplit("_", 1), json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(GOLDEN.glob("*/*/in.json"))
    ]
    golden = [json.dumps(case.get("body", case)).encode() for _, _, case in cases]
    told = [encoded(case["events"]) for _, kind, case in cases if kind == "stream"]
    waiting = [
        b"45.837906927s",
        b"6m0s",
        b"Fri, 20 Nov 2026 12:00:00 GMT",
        b"2026-11-20T12:00:09Z",
        b"1795176000",
    ]
    waiting += [b"Please try again in 2m59.56s.", b"30", b"1e9"]
    pushes = [
        codec.encode(build.push(build.built(ScriptedProvider(), name="p"))),
        codec.encode(build.state_push()),
    ]
    return (
        Target("server-sent events", [*streams, *told], sse),
        Target("HTTP answers", sorted(ANSWERS.values()), answers),
        Target("HTTP requests", REQUESTS, requests),
        Target("request bodies", golden, bodies),
        Target("usage", [*streams, *told, *golden], usage),
        Target("outcomes", signals, outcomes),
        Target("hints", waiting, hints),
        Target("translation", cases, translate),
        Target("translated errors", signals, errors),
        Target("control documents", pushes, documents),
        Target("objects", [(case.kind, case.body) for case in load()], objects),
        Target("conditions, durations, money", [*CONDITIONS, b"1h30m", b"12.5"], texts),
    )
