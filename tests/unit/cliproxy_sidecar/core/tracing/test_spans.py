"""What a span says of a finished request, read back by the official schema."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.decisions import Choice, Trail
from cliproxy_sidecar.core.dialect import CHAT, EMBEDDINGS, Operation
from cliproxy_sidecar.core.tracing.names import ProviderNames
from cliproxy_sidecar.core.tracing.otlp import place, request, resource
from cliproxy_sidecar.core.tracing.spans import MAX_ENTRIES, Encoder, Ended
from cliproxy_sidecar.core.tracing.told import NOTHING, Told
from cliproxy_sidecar.core.usage import Usage
from support.traces import ReceivedSpan, received

TARGET = ("team-a/gpt", "main", "gpt-4o-mini")
TRIED = (11.0, TARGET, OutcomeClass.SUCCESS, 200, None, 12.5)
FAILED = (10.5, TARGET, OutcomeClass.RATE_LIMITED, 429, "slow_down", 3.0)
NAMES = {"gpt": ProviderNames("team-a/gpt", "openai", "api.openai.com", 443)}
END_NS = 1_700_000_000_000_000_000


@dataclass
class Done:
    """A request's account."""

    request_id: str = "req_1"
    known_model: str | None = "gpt-4o"
    provider: str | None = "gpt"
    stream: bool = False
    attempts: int = 1
    usage: Usage = field(default_factory=lambda: Usage(input=10, output=20))
    cost_nano_usd: int = 0
    consumer: str = ""
    cache: str | None = None
    trail: Trail | None = field(default_factory=lambda: list[Any]([(10.0, TARGET, None), TRIED]))
    started_s: float = 10.0
    first_content_s: float | None = None


def ended(
    *, operation: Operation | None = CHAT, method: str = "POST", status: int = 200, failure: str | None = None
) -> Ended:
    return Ended(method, operation, status, failure, 12.0)


def said(done: Done, how: Ended | None = None, encoder: Encoder | None = None, **more: Any) -> ReceivedSpan:
    options: dict[str, Any] = {"sampled": True, "told": NOTHING} | more
    where = place(b"t" * 16 + b"s" * 8)
    made = (encoder or Encoder(NAMES)).encode(done, how or ended(), where, unix_s=END_NS / 1e9, **options)
    message: Any = ExportTraceServiceRequest()
    message.ParseFromString(request(resource({}, scope="cliproxy", version="1"), [made]))
    return received(message.resource_spans[0].scope_spans[0].spans[0], {})


def test_times_are_the_requests() -> None:
    span = said(Done())
    assert (span.trace_id, span.span_id, span.parent_id) == ((b"t" * 16).hex(), (b"s" * 8).hex(), "")
    assert span.end_ns == pytest.approx(END_NS, abs=1000)
    assert span.end_ns - span.start_ns == pytest.approx(2e9, abs=1000)
    ((name, at, about),) = span.events
    assert (name, about["cliproxy.duration_ms"]) == ("cliproxy.attempt", 12.5)
    assert span.end_ns - at == pytest.approx(1e9, abs=1000)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(), {}),
        (Usage(input=1), {"input_tokens": 1, "output_tokens": 0}),
        (
            Usage(input=100, cached_input=20, cache_write=8, output=2**40, reasoning=300),
            {
                "input_tokens": 128,
                "output_tokens": 2**40 + 300,
                "cache_read.input_tokens": 20,
                "cache_creation.input_tokens": 8,
                "reasoning.output_tokens": 300,
            },
        ),
        (
            Usage(cached_input=127, reasoning=16_384),
            {
                "input_tokens": 127,
                "output_tokens": 16_384,
                "cache_read.input_tokens": 127,
                "reasoning.output_tokens": 16_384,
            },
        ),
    ],
)
def test_tokens_are_sums_and_their_parts(usage: Usage, expected: dict[str, int]) -> None:
    told = said(Done(usage=usage)).attributes
    prefix = "gen_ai.usage."
    assert {key.removeprefix(prefix): told[key] for key in told if key.startswith(prefix)} == expected


def test_events_stand_in_the_order_in_which_they_happened() -> None:
    lack = Choice(at=10.7, target=None, how=None, lack="all cool")
    trail: Trail = [(10.0, TARGET, None), FAILED, lack, TRIED]
    span = said(Done(trail=trail, first_content_s=10.8, stream=True))
    assert [name for name, *_ in span.events] == [
        "cliproxy.attempt",
        "cliproxy.no_target",
        "cliproxy.first_content",
        "cliproxy.attempt",
    ]
    assert span.events[0][2]["cliproxy.code"] == "slow_down"
    assert span.events[1][2] == {"cliproxy.reason": "all cool"}
    times = [at for _, at, _ in span.events]
    assert times == sorted(times)
    last = said(Done(first_content_s=11.5)).events
    assert [name for name, *_ in last] == ["cliproxy.attempt", "cliproxy.first_content"]


def test_a_storm_of_attempts_is_bounded() -> None:
    assert len(said(Done(trail=[TRIED] * 1000)).events) == MAX_ENTRIES
    assert said(Done(trail=None)).events == []


VARIANTS: list[tuple[Done, Ended, dict[str, Any]]] = [
    (Done(), ended(), {}),
    (Done(known_model="other"), ended(), {}),
    (Done(known_model=None), ended(), {}),
    (Done(provider=None, attempts=0), ended(), {}),
    (Done(provider="gone"), ended(), {}),
    (Done(), ended(status=0, failure="broken"), {}),
    (Done(), ended(status=429, failure="RateLimited"), {"sampled": False}),
    (Done(stream=True), ended(), {}),
    (Done(attempts=2), ended(), {}),
    (Done(consumer="team"), ended(), {}),
    (Done(cache="hit", attempts=0), ended(), {}),
    (Done(cache="shared", attempts=0), ended(), {}),
    (Done(usage=Usage(input=10, output=20, estimated=True)), ended(), {}),
    (Done(cost_nano_usd=1_500_000_000), ended(), {}),
    (Done(), ended(operation=EMBEDDINGS), {}),
    (Done(), ended(operation=None, method="DELETE"), {}),
    (Done(), ended(), {"told": Told("gpt-4o-2024", "r" * 128, ("stop",))}),
    (Done(), ended(), {"told": Told("", "", ("length", "stop"))}),
]


def test_what_is_kept_encoded_is_another_requests_only_where_all_of_it_agrees() -> None:
    shared = Encoder(NAMES)
    alone = [said(done, how, **more) for done, how, more in VARIANTS]
    for _ in range(2):
        assert [said(done, how, shared, **more) for done, how, more in VARIANTS] == alone
    assert len({str(span) for span in alone}) == len(VARIANTS), "each says something else"


def test_who_nobody_serves_and_who_answers_himself() -> None:
    unknown = said(
        Done(known_model=None, provider=None, attempts=0), ended(status=404, failure="unknown_model")
    )
    assert (unknown.name, unknown.kind, unknown.message) == ("chat", "SPAN_KIND_SERVER", "unknown_model")
    assert not [
        key for key in unknown.attributes if key.startswith(("gen_ai.provider", "server", "gen_ai.request"))
    ]
    assert said(Done(), ended(operation=None, method="DELETE")).name == "DELETE"
    paid = said(replace(Done(), cost_nano_usd=1_500_000_000, consumer="team")).attributes
    assert (paid["cliproxy.cost_usd"], paid["cliproxy.consumer"]) == (1.5, "team")
