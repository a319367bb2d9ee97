"""W3C trace context: read what a caller sends, write what goes on to a provider.

Source: W3C Trace Context, Recommendation of 2021-11-23 (read 2026-11). Ids are raw bytes inside.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from cliproxy_sidecar.core.headers import Header

SAMPLED: Final = 0x01
RANDOM: Final = 0x02
"""The trace id's right half is random (Level 2); passed on as it came."""
MAX_STATE_BYTES: Final = 512
"""Of `tracestate` in a span; what goes on to the provider is not cut."""

_PARENT: Final = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_DECLINED: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f][02468ace]")
_NO_TRACE: Final = bytes(16)
_NO_SPAN: Final = bytes(8)
_PARENT_LINE: Final = b"\r\ntraceparent: "
_STATE_LINE: Final = b"\r\ntracestate: "
_EITHER_LINE: Final = b"\r\ntrace"


class TraceContext(msgspec.Struct, frozen=True):
    """Where a caller stands in its trace."""

    trace_id: bytes
    span_id: bytes
    flags: int
    state: bytes = b""

    @property
    def sampled(self) -> bool:
        """Whether the caller records its part."""
        return bool(self.flags & SAMPLED)


def context_of(headers: Sequence[Header]) -> TraceContext | None:
    """Return the caller's context; None: it sends none, or none that may be used. Names are lower-case.

    One that is sent twice, or cannot be read, is none: a new trace begins, as the recommendation says.
    """
    parent: bytes | None = None
    state: list[bytes] = []
    for name, value in headers:
        if name == b"traceparent":
            if parent is not None:
                return None
            parent = value
        elif name == b"tracestate" and value:
            state.append(value)
    found = _PARENT.fullmatch(parent.strip()) if parent is not None else None
    if found is None or (found[1] == b"00" and found[5]):
        return None
    trace_id, span_id = bytes.fromhex(found[2].decode()), bytes.fromhex(found[3].decode())
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    told = b",".join(state)
    # A span's texts are UTF-8: one that is not would have receivers refuse all spans that are sent with it.
    return TraceContext(
        trace_id, span_id, int(found[4], 16), told[:MAX_STATE_BYTES] if told.isascii() else b""
    )


def declines(parent: bytes) -> bool:
    """Return whether a `traceparent` says in plain words that its request is not recorded.

    False means nothing: look closer by `context_of`. For callers that send one with every request.
    """
    return _DECLINED.fullmatch(parent) is not None


def parent_line(ids: str, flags: int) -> bytes:
    """Return the header of a sampled span, as a block (see `core.headers.Sieve`).

    `ids`: of the trace and of the span, in hex, with a hyphen between them.
    """
    return ("\r\ntraceparent: 00-" + ids + ("-03" if flags & RANDOM else "-01")).encode()


def with_parent(block: bytes, line: bytes, *, fresh: bool) -> bytes:
    """Return a request's headers with our span in the caller's place.

    `fresh`: the trace begins here, so what the caller says in `tracestate` belongs to another.
    """
    if block.find(_EITHER_LINE) >= 0:  # One look where there is nothing, as nearly always.
        block = _without(block, _PARENT_LINE)
        if fresh:
            block = _without(block, _STATE_LINE)
    return block + line


def _without(block: bytes, start: bytes) -> bytes:
    while (at := block.find(start)) >= 0:
        end = block.find(b"\r\n", at + len(start))
        block = block[:at] + (block[end:] if end >= 0 else b"")
    return block
