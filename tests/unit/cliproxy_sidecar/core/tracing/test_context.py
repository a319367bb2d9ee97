"""W3C trace context: what is read, what goes on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.headers import block_of
from cliproxy_sidecar.core.tracing.context import (
    TraceContext,
    context_of,
    declines,
    parent_line,
    with_parent,
)

TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))
GOOD = b"00-%b-%b-01" % (TRACE.hex().encode(), SPAN.hex().encode())


def test_a_good_context_is_read() -> None:
    found = context_of(
        [(b"host", b"x"), (b"traceparent", GOOD), (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]
    )
    assert found == TraceContext(TRACE, SPAN, 1, b"a=1,b=2")
    assert found.sampled


def test_a_later_version_may_say_more() -> None:
    found = context_of([(b"traceparent", b"cc" + GOOD[2:-2] + b"00-what-the-future-brings")])
    assert found == TraceContext(TRACE, SPAN, 0)
    assert not found.sampled


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        GOOD + b"-more",
        GOOD[:-1],
        b"ff" + GOOD[2:],
        b"cc" + GOOD[2:] + b".more",
        GOOD.upper(),
        b"00-%b-%b-01" % (b"0" * 32, SPAN.hex().encode()),
        b"00-%b-%b-01" % (TRACE.hex().encode(), b"0" * 16),
        b"00-%b-%b-zz" % (TRACE.hex().encode(), SPAN.hex().encode()),
        b"\xff" * 55,
    ],
)
def test_what_cannot_be_read_is_none(value: bytes) -> None:
    assert context_of([(b"traceparent", value), (b"tracestate", b"a=1")]) is None


@given(
    st.tuples(
        st.sampled_from([b"00", b"01", b"ff", b"0"]),
        st.sampled_from([TRACE, bytes(16), b"\xaa" * 16, b"\xaa" * 15]).map(lambda ids: ids.hex().encode()),
        st.sampled_from([SPAN, bytes(8), b"\xbb" * 8]).map(lambda ids: ids.hex().encode()),
        st.integers(0, 255).map(lambda flags: b"%02x" % flags),
    ),
    st.sampled_from([b"", b"-more", b" ", b"0"]),
    st.sampled_from([bytes, bytes.upper]),
)
def test_who_declines_has_a_good_context_that_is_not_sampled(
    parts: tuple[bytes, ...], rest: bytes, case: Any
) -> None:
    value = case(b"-".join(parts) + rest)
    found = context_of([(b"traceparent", value)])
    if declines(value):
        assert found is not None
        assert not found.sampled
    elif value.startswith(b"00-") and not rest:
        assert found is None or found.sampled


def test_two_contexts_are_none() -> None:
    assert context_of([(b"traceparent", GOOD), (b"traceparent", GOOD)]) is None
    assert context_of([(b"host", b"x")]) is None


@pytest.mark.parametrize(
    ("state", "told"), [(b"a=\xff", b""), ("a=ü".encode(), b""), (b"a=" + b"1" * 600, b"a=" + b"1" * 510)]
)
def test_a_state_that_no_receiver_would_take_is_left_out_of_the_span(state: bytes, told: bytes) -> None:
    found = context_of([(b"traceparent", GOOD), (b"tracestate", state)])
    assert found is not None
    assert found.state == told


def test_ours_goes_on_in_the_callers_place() -> None:
    line = parent_line(TRACE.hex() + "-" + "01" * 8, 0x03)
    assert line == b"\r\ntraceparent: 00-%b-0101010101010101-03" % TRACE.hex().encode()
    before = block_of([(b"traceparent", GOOD), (b"tracestate", b"a=1"), (b"accept", b"*/*")])
    assert (
        with_parent(before, line, fresh=False)
        == block_of([(b"tracestate", b"a=1"), (b"accept", b"*/*")]) + line
    )


def test_a_fresh_trace_leaves_nothing_of_the_callers() -> None:
    line = parent_line(TRACE.hex() + "-" + SPAN.hex(), 0)
    assert line.endswith(b"-01")
    before = block_of(
        [
            (b"accept", b"*/*"),
            (b"traceparent", b"x"),
            (b"tracestate", b"a=1"),
            (b"traceparent", b"y"),
            (b"tracestate", b""),
        ]
    )
    assert with_parent(before, line, fresh=True) == b"\r\naccept: */*" + line
