"""What an OTLP receiver got, decoded by the official schema: spans with plain attributes and events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from support.receivers import Got


@dataclass(frozen=True)
class ReceivedSpan:
    """One span."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    start_ns: int
    end_ns: int
    failed: bool
    message: str
    attributes: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    resource: dict[str, Any] = field(repr=False)


def spans_of(got: list[Got]) -> list[ReceivedSpan]:
    """Return the spans of all exports in their order; anything that is no export fails the test."""
    found: list[ReceivedSpan] = []
    for one in got:
        assert one.headers["content-type"] == "application/x-protobuf"
        request: Any = ExportTraceServiceRequest()
        request.ParseFromString(one.body)
        assert not UnknownFieldSet(request)
        for resource in request.resource_spans:
            about = plain(resource.resource.attributes)
            for scope in resource.scope_spans:
                assert scope.scope.name == "cliproxy"
                found += [received(span, about) for span in scope.spans]
    return found


def received(span: Any, resource: dict[str, Any]) -> ReceivedSpan:
    """Return a decoded span in plain values."""
    assert not UnknownFieldSet(span)
    return ReceivedSpan(
        name=span.name,
        kind=span.SpanKind.Name(span.kind),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        state=span.trace_state,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        failed=span.status.code == 2,
        message=span.status.message,
        attributes=plain(span.attributes),
        events=[(event.name, event.time_unix_nano, plain(event.attributes)) for event in span.events],
        resource=resource,
    )


def plain(attributes: Any) -> dict[str, Any]:
    """Return attributes as a dict; one that is there twice fails the test."""
    named = [(item.key, value_of(item.value)) for item in attributes]
    assert len(dict(named)) == len(named), named
    return dict(named)


def value_of(value: Any) -> Any:
    """Return an attribute's value."""
    match value.WhichOneof("value"):
        case "array_value":
            return [value_of(item) for item in value.array_value.values]
        case None:
            raise AssertionError("an attribute without a value")
        case which:
            return getattr(value, which)


def partial_success(rejected: int, message: str) -> bytes:
    """Return the answer of a receiver that takes only some of the spans."""
    answer: Any = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return bytes(answer.SerializeToString())
