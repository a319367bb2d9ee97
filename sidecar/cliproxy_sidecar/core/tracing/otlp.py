"""OTLP's protobuf, as far as spans need it: values in, bytes out; and the receiver's answer, read.

Written by hand as the official SDK costs more per span than a whole request does here (ADR 20). What a span
says is `spans`'. Field numbers: opentelemetry-proto 1.x, trace/v1, common/v1, resource/v1 and
collector/trace/v1 (read 2026-11).
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

MAX_TEXT_CHARS: Final = 256
"""Of one attribute's value."""
_FIXED64: Final = struct.Struct("<Q").pack
_TIMES: Final = struct.Struct("<BQBQ").pack
"""Begin and end of a span, each behind its field's number."""
_MEASURED: Final = struct.Struct("<dBQ").pack
"""A measure, and behind its field's number the instant."""
_DOUBLE: Final = struct.Struct("<d").pack
_TWO: Final = struct.Struct("BB").pack
_FRONT: Final = struct.Struct("BBB").pack
"""A field's number, and a length of two bytes."""
_SMALL: Final = tuple(bytes([number]) for number in range(128))

Value = str | bool | int | float | Sequence[str]


class Kind(IntEnum):
    """On which side of a call a span stands."""

    SERVER = 2
    CLIENT = 3


_STATUS_ERROR: Final = 2
_TRACE_ID: Final = b"\x0a\x10"
_SPAN_ID: Final = b"\x12\x08"
_PARENT_ID: Final = b"\x22\x08"
# Flags: sampled; whether the parent is in another process is known, and it is. A trace's id follows.
_ROOT: Final = b"\x85\x01" + struct.pack("<I", 0x101) + _TRACE_ID
_CHILD: Final = b"\x85\x01" + struct.pack("<I", 0x301) + _TRACE_ID


def varint(number: int) -> bytes:
    """Return a number of 64 bits as protobuf writes it; negative ones as two's complement."""
    if 0 <= number < 128:  # noqa: PLR2004 -- what fits into one byte
        return _SMALL[number]
    if 0 <= number < 16_384:  # noqa: PLR2004 -- into two
        return _TWO(number & 0x7F | 0x80, number >> 7)
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


class Key:
    """One attribute of one kind of message; what does not depend on the value is encoded once."""

    __slots__ = ("_key", "_number", "_numbers", "_texts", "name")

    def __init__(self, number: int, name: str) -> None:
        """`number`: the field that attributes stand in."""
        self.name = name
        self._number = number
        self._key = field(1, name.encode())
        self._texts: dict[int, bytes] = {}
        """By the value's length: all that stands in front of it."""
        self._numbers = [self._front(b"\x18", size) for size in range(11)]

    def _front(self, tag: bytes, size: int) -> bytes:
        value = b"\x12" + varint(len(tag) + size) + tag
        return varint(self._number << 3 | 2) + varint(len(self._key) + len(value) + size) + self._key + value

    def text(self, value: str) -> bytes:
        """Return the attribute with a text."""
        data = value[:MAX_TEXT_CHARS].encode("utf-8", "replace")
        size = len(data)
        front = self._texts.get(size)
        if front is None:
            front = self._texts[size] = self._front(b"\x0a" + varint(size), size)
        return front + data

    def number(self, value: int) -> bytes:
        """Return the attribute with a whole number."""
        if 128 <= value < 16_384:  # noqa: PLR2004 -- into two bytes, as most counts of tokens
            return self._numbers[2] + _TWO(value & 0x7F | 0x80, value >> 7)
        data = varint(value)
        return self._numbers[len(data)] + data

    def any(self, value: Value) -> bytes:
        """Return the attribute with a value of any kind."""
        return field(self._number, self._key + field(2, _value(value)))


SPAN: Final = 9
EVENT: Final = 3
"""Where attributes stand."""
_RESOURCE: Final = 1


def event(name: str, unix_ns: int, attributes: bytes = b"") -> bytes:
    """Return one event of a span, ready to stand among its parts."""
    return field(11, attributes + field(2, name.encode()) + b"\x09" + _FIXED64(unix_ns))


class Timed:
    """Events that differ in one measure and their instant only; the rest is encoded once."""

    __slots__ = ("_front",)

    def __init__(self, name: str, attributes: bytes, measure: str) -> None:
        last = Key(EVENT, measure).any(0.0)[:-8]
        parts = attributes + field(2, name.encode()) + last
        self._front = b"\x5a" + varint(len(parts) + 8 + 9) + parts

    def event(self, measure: float, unix_ns: int) -> bytes:
        """Return one of them (see `event`)."""
        return self._front + _MEASURED(measure, 0x09, unix_ns)


def failed(message: str = "") -> bytes:
    """Return a span's status: an error. No status means that it is unset, which is what success is."""
    told = field(2, message[:MAX_TEXT_CHARS].encode("utf-8", "replace")) if message else b""
    return field(15, told + b"\x18" + varint(_STATUS_ERROR))


def named(name: str, kind: Kind) -> bytes:
    """Return a span's name and kind, ready to stand among its parts."""
    return field(5, name.encode("utf-8", "replace")) + b"\x30" + _SMALL[kind]


def place(ids: bytes, parent_id: bytes = b"", state: bytes = b"") -> bytes:
    """Return where a span stands in its trace, ready to stand among its parts.

    `ids`: of the trace and of the span, as one. `state`: ASCII only.
    """
    head = (_CHILD if parent_id else _ROOT) + ids[:16] + _SPAN_ID + ids[16:]
    if parent_id:
        head += _PARENT_ID + parent_id
    return head + field(3, state) if state else head


def times(begun_ns: int, ended_ns: int) -> bytes:
    """Return a span's begin and end since 1970, ready to stand among its parts."""
    return _TIMES(0x39, begun_ns, 0x41, ended_ns)


def span(parts: Sequence[bytes]) -> bytes:
    """Return one span, ready to stand in a batch.

    `parts`: place, name and kind, times, attributes, events and status, each encoded by its function here.
    """
    body = b"".join(parts)
    size = len(body)
    if 128 <= size < 16_384:  # noqa: PLR2004 -- into two bytes, as nearly always
        return _FRONT(0x12, size & 0x7F | 0x80, size >> 7) + body
    return field(2, body)


def resource(attributes: dict[str, str], *, scope: str, version: str) -> tuple[bytes, bytes]:
    """Return what all batches of one process begin with: the resource, and the scope of its spans."""
    told = b"".join([Key(_RESOURCE, name).any(value) for name, value in attributes.items() if value])
    return field(1, told), field(1, field(1, scope.encode()) + field(2, version.encode()))


def request(about: tuple[bytes, bytes], spans: Sequence[bytes]) -> bytes:
    """Return the body of one export: an ExportTraceServiceRequest."""
    told, scope = about
    scoped = len(scope) + sum([len(one) for one in spans])
    head = told + b"\x12" + varint(scoped) + scope
    # Joined once: such a body is half a megabyte.
    return b"".join([b"\x0a", varint(len(head) - len(scope) + scoped), head, *spans])


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
