"""OTLP's protobuf, as far as spans need it: values in, bytes out; and the receiver's answer, read.

Written by hand as the official SDK costs more per span than a whole request does here (ADR 20). What a span
says is `spans`'. Field numbers: opentelemetry-proto 1.x, trace/v1, common/v1, resource/v1 and
collector/trace/v1 (read 2026-11).
"""

import struct
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

MAX_TEXT_CHARS: Final = 256
"""Of one attribute's value."""
MAX_KNOWN: Final = 4096
"""Encoded attributes that are kept: models and statuses repeat, but callers could make names up."""
_FIXED64: Final = struct.Struct("<Q").pack
_FIXED32: Final = struct.Struct("<I").pack
_DOUBLE: Final = struct.Struct("<d").pack
_SMALL: Final = tuple(bytes([number]) for number in range(128))

Value = str | bool | int | float | Sequence[str]


class Kind(IntEnum):
    """On which side of a call a span stands."""

    SERVER = 2
    CLIENT = 3


_STATUS_ERROR: Final = 2


def varint(number: int) -> bytes:
    """Return a number of 64 bits as protobuf writes it; negative ones as two's complement."""
    if 0 <= number < 128:  # noqa: PLR2004 -- what fits into one byte
        return _SMALL[number]
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 -- seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    """Return a length-delimited field: bytes, text, a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return field(1, value[:MAX_TEXT_CHARS].encode("utf-8", "replace"))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value)
    if isinstance(value, float):
        return b"\x21" + _DOUBLE(value)
    return field(5, b"".join([field(1, _value(item)) for item in value]))


class Attributes:
    """Encodes the attributes of one kind of message; remembers those that come again."""

    def __init__(self, number: int) -> None:
        """`number`: the field that attributes stand in."""
        self._number = number
        self._known: dict[tuple[str, str], bytes] = {}

    def text(self, key: str, value: str) -> bytes:
        """Return an attribute that is likely to come again."""
        known = self._known
        try:
            return known[key, value]
        except KeyError:
            if len(known) >= MAX_KNOWN:
                known.clear()
            made = known[key, value] = self.one(key, value)
            return made

    def one(self, key: str, value: Value) -> bytes:
        """Return an attribute."""
        return field(self._number, field(1, key.encode()) + field(2, _value(value)))


SPAN: Final = Attributes(9)
EVENT: Final = Attributes(3)
_RESOURCE: Final = Attributes(1)


def event(name: str, unix_ns: int, attributes: bytes = b"") -> bytes:
    """Return one event of a span, ready to stand among its parts."""
    return field(11, b"\x09" + _FIXED64(unix_ns) + field(2, name.encode()) + attributes)


def failed(message: str = "") -> bytes:
    """Return a span's status: an error. No status means that it is unset, which is what success is."""
    told = field(2, message[:MAX_TEXT_CHARS].encode("utf-8", "replace")) if message else b""
    return field(15, told + b"\x18" + varint(_STATUS_ERROR))


def span(
    *,
    trace_id: bytes,
    span_id: bytes,
    parent_id: bytes,
    state: bytes,
    name: str,
    kind: Kind,
    times_ns: tuple[int, int],
    parts: bytes,
) -> bytes:
    """Return one span, ready to stand in a batch. `times_ns`: begin and end since 1970.

    `parts`: attributes, events and status, each encoded by its function here.
    """
    head = b"\x0a\x10%b\x12\x08%b" % (trace_id, span_id)
    if state:
        head += field(3, state)
    if parent_id:
        head += b"\x22\x08" + parent_id
    # Flags: sampled; whether the parent is in another process is known, and it is.
    flags = 0x301 if parent_id else 0x101
    body = b"%b%b\x30%b\x39%b\x41%b%b\x85\x01%b" % (
        head,
        field(5, name.encode("utf-8", "replace")),
        _SMALL[kind],
        _FIXED64(times_ns[0]),
        _FIXED64(times_ns[1]),
        parts,
        _FIXED32(flags),
    )
    return field(2, body)


def resource(attributes: dict[str, str], *, scope: str, version: str) -> tuple[bytes, bytes]:
    """Return what all batches of one process begin with: the resource, and the scope of its spans."""
    told = b"".join([_RESOURCE.one(key, value) for key, value in attributes.items() if value])
    return field(1, told), field(1, field(1, scope.encode()) + field(2, version.encode()))


def request(about: tuple[bytes, bytes], spans: Iterable[bytes]) -> bytes:
    """Return the body of one export: an ExportTraceServiceRequest."""
    told, scope = about
    return field(1, told + field(2, scope + b"".join(spans)))


# ----------------------------------------------------------------------- the answer
def rejected(answer: bytes) -> tuple[int, str]:
    """Return how many spans a receiver has not taken although it said 200, and why.

    An answer that cannot be read says nothing: (0, ""). Never raises: it comes from outside.
    """
    count, why = 0, ""
    for number, value in _fields(answer):
        if number != 1 or not isinstance(value, bytes):
            continue
        for inner, told in _fields(value):
            if inner == 1 and isinstance(told, int):
                count = told if told < 1 << 63 else 0
            elif inner == 2 and isinstance(told, bytes):  # noqa: PLR2004 -- error_message
                why = told.decode("utf-8", "replace")[:MAX_TEXT_CHARS]
    return count, why


def _fields(data: bytes) -> list[tuple[int, int | bytes]]:
    """Return the fields of a message up to the first that makes no sense."""
    found: list[tuple[int, int | bytes]] = []
    at = 0
    try:
        while at < len(data):
            key, at = _number(data, at)
            if key & 7 == 0:
                value, at = _number(data, at)
                found.append((key >> 3, value))
                continue
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                if key & 7 != 2:  # noqa: PLR2004 -- groups are no longer written
                    break
                size, at = _number(data, at)
            if at + size > len(data):
                break
            found.append((key >> 3, data[at : at + size]))
            at += size
    except IndexError:
        pass
    return found


def _number(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift < 64:  # noqa: PLR2004 -- bits
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 -- the last one
            return number & ((1 << 64) - 1), at
        shift += 7
    raise IndexError
