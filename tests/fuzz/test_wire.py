"""What providers and callers send, mutilated: only the declared errors come out.

The seeds are the recorded signals, so that mutations stay near what really arrives. Runs are bounded and
seeded; a failing seed stands in the test's name.
"""

import random
from datetime import UTC, datetime

import pytest

from cliproxy_api.vocabulary import COUNTED_CLASSES, ProviderType
from cliproxy_dev.providers.signals import load_all
from cliproxy_sidecar.core.body import BodyError, Peek, RepeatedKeysError, peek, with_model
from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.outcome import Response, classify_response, classify_stream_error
from cliproxy_sidecar.core.sse import SSEParser, SSETooLarge
from cliproxy_sidecar.core.stream import ContentKind, content_kind
from cliproxy_sidecar.core.usage import UsageMeter
from support.fuzzing import mutated_bytes

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SIGNALS = load_all()
ROUNDS = 40


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_answers(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for signal in SIGNALS:
        headers = {
            name: mutated_bytes(chance, value.encode()).decode("latin-1") if chance.random() < 0.3 else value
            for name, value in signal.headers.items()
        }
        body = mutated_bytes(chance, signal.body.encode())
        status = chance.choice([signal.status, 200, 400, 429, 500])
        response = Response(status, headers, body)
        outcome = classify_response(ProviderType(signal.provider_type), response, now_utc=NOW)
        assert outcome.scope_kind is None or outcome.cls in COUNTED_CLASSES


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_streams(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    for signal in SIGNALS:
        if signal.stream_event is None:
            continue
        stream = mutated_bytes(chance, (signal.body + signal.stream_event).encode())
        parser = SSEParser(max_event_bytes=1500)
        for dialect in Dialect:
            meter = UsageMeter(dialect)
            try:
                events = parser.feed(stream)
            except SSETooLarge as error:
                events = error.events
            for event in events:
                meter.feed_event(event)
                if content_kind(dialect, event) is ContentKind.ERROR:
                    classify_stream_error(ProviderType(signal.provider_type), event.data, now_utc=NOW)
            assert meter.result(request_bytes=10).total >= 0
            parser = SSEParser(max_event_bytes=1500)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_bodies(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    seeds = [signal.body.encode() for signal in SIGNALS]
    seeds.append(b'{"model":"gpt-4o","messages":[{"role":"user","content":"model"}],"tools":[{"model":1}]}')
    for body in (mutated_bytes(chance, item) for item in seeds):
        for dialect in Dialect:
            meter = UsageMeter(dialect)
            meter.feed(body)
            assert meter.result().total >= 0
        match peek(body):
            case BodyError(message=message):
                assert message
            case Peek(model=model):
                changed = peek(with_model(body, model, "other"))
                assert isinstance(changed, Peek)
                assert changed.model == "other"
        try:
            with_model(body, "x", "y")
        except RepeatedKeysError:
            pytest.fail("the body is small")
