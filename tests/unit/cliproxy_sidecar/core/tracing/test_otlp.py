"""OTLP's bytes, read back by the official schema; and answers of receivers, written by it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from cliproxy_sidecar.core.tracing import otlp
from cliproxy_sidecar.core.tracing.otlp import (
    EVENT,
    SPAN,
    Key,
    Kind,
    event,
    failed,
    named,
    place,
    rejected,
    request,
    resource,
    span,
    times,
)
from support.traces import partial_success, plain, received

ABOUT = resource({"service.name": "s", "empty": ""}, scope="cliproxy", version="1")
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=otlp.MAX_TEXT_CHARS)
VALUES = st.one_of(TEXT, st.booleans(), INT64, st.floats(allow_nan=False), st.lists(TEXT, max_size=3))


def decoded(*spans: bytes) -> Any:
    message: Any = ExportTraceServiceRequest()
    message.ParseFromString(request(ABOUT, spans))
    (about,) = message.resource_spans
    (scope,) = about.scope_spans
    assert plain(about.resource.attributes) == {"service.name": "s"}
    return [received(one, {}) for one in scope.spans]


def made(parts: bytes = b"", *, name: str = "chat", parent: bytes = b"", state: bytes = b"") -> bytes:
    ids = b"t" * 16 + b"s" * 8
    return span([place(ids, parent, state), named(name, Kind.CLIENT), times(1, 2**63), parts])


@given(st.dictionaries(st.text(min_size=1, max_size=40), VALUES, max_size=6), st.text(max_size=300))
def test_what_goes_in_comes_out(attributes: dict[str, Any], name: str) -> None:
    parts = b"".join([Key(SPAN, key).any(value) for key, value in attributes.items()])
    (found,) = decoded(made(parts, name=name, parent=b"p" * 8, state=b"a=1"))
    assert found.attributes == attributes
    assert (found.name, found.state, found.parent_id) == (name, "a=1", (b"p" * 8).hex())
    assert (found.start_ns, found.end_ns, found.kind, found.failed) == (1, 2**63, "SPAN_KIND_CLIENT", False)


def test_events_and_status() -> None:
    parts = event("one", 5, Key(EVENT, "a").text("b")) + failed("why") + event("two", 2**63)
    (found,) = decoded(made(parts))
    assert found.events == [("one", 5, {"a": "b"}), ("two", 2**63, {})]
    assert (found.failed, found.message) == (True, "why")
    (found,) = decoded(made(failed()))
    assert (found.failed, found.message) == (True, "")


def test_a_batch_keeps_its_order_and_long_texts_are_cut() -> None:
    one, two = decoded(made(Key(SPAN, "a").text("x" * 5000)), made(name="second"))
    assert one.attributes == {"a": "x" * otlp.MAX_TEXT_CHARS}
    assert two.name == "second"
    assert decoded() == []


@given(st.lists(TEXT, max_size=4), st.lists(INT64, max_size=4))
def test_a_key_says_the_same_in_its_quick_ways(texts: list[str], numbers: list[int]) -> None:
    key = Key(SPAN, "gen_ai.usage.input_tokens")
    for text in texts:
        assert key.text(text) == key.any(text)
    for number in numbers:
        assert key.number(number) == key.any(number)


@given(st.integers(0, 2**63 - 1), TEXT)
def test_refused_spans_are_read(count: int, why: str) -> None:
    assert rejected(partial_success(count, why)) == (count, why)


@given(st.binary(max_size=60))
def test_any_answer_may_come(answer: bytes) -> None:
    count, why = rejected(answer)
    assert count >= 0
    assert len(why) <= otlp.MAX_TEXT_CHARS


def test_an_answer_that_is_cut_or_strange_says_what_can_be_read() -> None:
    whole = partial_success(3, "too old")
    assert rejected(b"") == (0, "")
    assert rejected(whole[:-3]) == (0, "")
    # Unknown fields of every width are passed over.
    assert rejected(b"\x11" + bytes(8) + b"\x15" + bytes(4) + b"\x18\x01" + whole) == (3, "too old")
    assert rejected(b"\x0b" + whole) == (0, "")
