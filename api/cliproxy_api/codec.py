"""Bytes to documents and back: the only JSON border between operator and sidecar.

Decoding raises `DecodeError` and nothing else, whatever the bytes are; it names the path at fault and refuses
schema versions that this side does not know.
"""

import hashlib
import zlib
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from cliproxy_api.references import secret_references
from cliproxy_api.report import Hello, Report
from cliproxy_api.snapshot import SCHEMA_VERSION, Position, Running, Snapshot, SnapshotPush
from cliproxy_api.state import WHOLE, FleetState, PartsPush, StatePush

T = TypeVar("T")

MAX_REPORT_LINE_BYTES: Final = 256 * 1024
"""One report line; `Traffic` of 1,000 providers stays well below."""

PACKED: Final = "deflate"
"""The one content coding of pushes, by its name in `Hello.encodings` and in HTTP: zlib's format."""
_PACK_LEVEL: Final = 1
"""A snapshot of 200 providers: from 140 to 9 KB in half a millisecond; level 6: to 6 KB in twice that."""


class DecodeError(ValueError):
    """The peer's bytes are not what they should be; the message names the path."""


# `order="sorted"` makes equal values equal bytes, whatever order dicts were filled in.
_ENCODER: Final = msgspec.json.Encoder(order="sorted")
# Lines are read once and never compared; and sorting takes string keys only, which `latency_buckets` has not.
_LINE_ENCODER: Final = msgspec.json.Encoder()
_SNAPSHOT_PUSH: Final = msgspec.json.Decoder(SnapshotPush)
_STATE_PUSH: Final = msgspec.json.Decoder(StatePush)
_PARTS_PUSH: Final = msgspec.json.Decoder(PartsPush)
_NO_STATE: Final = FleetState()
_ABSENT: Final = msgspec.Raw()
_WHOLE: Final = frozenset({"schema_version", "cooldowns"})
"""What differs most of the time, and is small."""
_STATE_FIELDS: Final = msgspec.structs.fields(FleetState)
_PART_DECODERS: Final = {
    one.name: msgspec.json.Decoder(one.type) for one in _STATE_FIELDS if one.name not in _WHOLE
}
_SENT_STATE: Final = msgspec.defstruct(
    "_SENT_STATE",
    [
        (one.name, one.type, one.default) if one.name in _WHOLE else (one.name, msgspec.Raw, _ABSENT)
        for one in _STATE_FIELDS
    ],
    kw_only=True,
)
"""A state whose larger parts are left as they came."""
_SENT_PUSH: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(
    msgspec.defstruct(
        "_SENT_PUSH",
        [("position", Position), ("sent_at_utc", datetime), ("state", _SENT_STATE)],
        kw_only=True,
    )
)
_RUNNING: Final = msgspec.json.Decoder(Running)
_REPORT: Final = msgspec.json.Decoder(Report)


def seal(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot with its digest set; the digest depends on the content only."""
    bare = msgspec.structs.replace(snapshot, digest="")
    return msgspec.structs.replace(bare, digest=hashlib.sha256(_ENCODER.encode(bare)).hexdigest()[:16])


def encode(document: SnapshotPush | StatePush | PartsPush | Snapshot | FleetState | Running) -> bytes:
    """Return the document as JSON; equal documents give equal bytes."""
    return _ENCODER.encode(document)


def encode_report(report: Report) -> bytes:
    """Return the report as one line, newline included."""
    return _LINE_ENCODER.encode(report) + b"\n"


def pack(data: bytes) -> bytes:
    """Return the bytes in the content coding `PACKED`."""
    return zlib.compress(data, _PACK_LEVEL)


def unpack(data: bytes, *, at_most_bytes: int) -> bytes:
    """Return what was packed, at most one byte more than `at_most_bytes`: that is too much already.

    Raises:
        DecodeError: this is not whole, or not packed at all. The sender's fault.

    """
    reader = zlib.decompressobj()
    try:
        content = reader.decompress(data, at_most_bytes + 1)
    except zlib.error as error:
        raise DecodeError(f"not in the content coding {PACKED}: {error}") from None
    if not reader.eof and len(content) <= at_most_bytes:
        raise DecodeError(f"not in the content coding {PACKED}: it breaks off")
    return content


def decode_snapshot_push(data: bytes) -> SnapshotPush:
    """Read a pushed snapshot.

    Raises:
        DecodeError: malformed, of an unknown schema version, without a digest, or naming a secret that did
            not come with it. The sender's fault.

    """
    push = _decode(_SNAPSHOT_PUSH, data)
    _check_version(push.snapshot.schema_version)
    # The digest is not worked out again: a newer operator's additive fields, which this side does not know,
    # are part of it, and a refusal would stop every roll-out of a new version half-way.
    if not push.snapshot.digest:
        raise DecodeError("$.snapshot.digest: is missing")
    for reference, user in secret_references(push.snapshot).items():
        if reference not in push.secrets:
            raise DecodeError(f"$.secrets: lacks {reference!r} of {user}")
    return push


def decode_state_push(data: bytes) -> StatePush:
    """Read a pushed fleet state.

    Raises:
        DecodeError: malformed or of an unknown schema version. The sender's fault.

    """
    return _checked(_decode(_STATE_PUSH, data))


class StateReader:
    """Reads the pushes of one sidecar: parts of the state that are sent again are not built again.

    A document of hundreds of providers mostly differs in a cooldown from the one before. What is the same is
    the same object, too.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[msgspec.Raw, Any]] = {}
        """Each part as it was sent last, and what that means."""

    def read(self, data: bytes) -> StatePush:
        """Read a pushed fleet state: as `decode_state_push`, which says what is wrong with one."""
        try:
            sent = _SENT_PUSH.decode(data)
            parts = {name: self._part(name, getattr(sent.state, name)) for name in _PART_DECODERS}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return decode_state_push(data)
        state = FleetState(schema_version=sent.state.schema_version, cooldowns=sent.state.cooldowns, **parts)
        return _checked(StatePush(position=sent.position, sent_at_utc=sent.sent_at_utc, state=state))

    def _part(self, name: str, sent: msgspec.Raw) -> Any:
        known = self._known.get(name)
        if known is not None and known[0] == sent:
            return known[1]
        part = getattr(_NO_STATE, name) if sent == _ABSENT else _PART_DECODERS[name].decode(sent)
        self._known[name] = (sent.copy(), part)  # a copy, or it would keep the whole document
        return part


def _checked(push: StatePush) -> StatePush:
    _check_version(push.state.schema_version)
    if push.sent_at_utc.tzinfo is None:
        raise DecodeError("$.sent_at_utc: has no time zone")
    for number, cooldown in enumerate(push.state.cooldowns):
        if cooldown.since_utc.tzinfo is None or cooldown.until_utc.tzinfo is None:
            raise DecodeError(f"$.state.cooldowns[{number}]: an instant has no time zone")
    spent = [amount for one in push.state.budgets.values() for amount in (one.day, one.week, one.month)]
    if any(one is not None and one.until_utc.tzinfo is None for one in (*push.state.quotas.values(), *spent)):
        raise DecodeError("$.state: the end of a quota or budget has no time zone")
    if any(instant.tzinfo is None for instant in push.state.recovered.values()):
        raise DecodeError("$.state.recovered: an instant has no time zone")
    return push


def decode_parts_push(data: bytes) -> PartsPush:
    """Read what a sidecar is given of shared limits.

    Raises:
        DecodeError: malformed, or a part that is none. The sender's fault.

    """
    push = _decode(_PARTS_PUSH, data)
    for kind, parts in (("providers", push.providers), ("consumers", push.consumers)):
        for name, part in parts.items():
            if not 0 < part <= WHOLE:
                raise DecodeError(f"$.{kind}: the part of {name!r} must be 1 to {WHOLE}")
    return push


def decode_running(data: bytes) -> Running:
    """Read a sidecar's answer to a push.

    Raises:
        DecodeError: malformed. The sidecar's fault.

    """
    return _decode(_RUNNING, data)


def decode_report(line: bytes) -> Report:
    """Read one line of a report stream.

    Raises:
        DecodeError: malformed, too long or of an unknown schema version. The sidecar's fault.

    """
    if len(line) > MAX_REPORT_LINE_BYTES:
        raise DecodeError(f"a report line of {len(line)} bytes; at most {MAX_REPORT_LINE_BYTES} are read")
    report: Report = _decode(_REPORT, line)
    if isinstance(report, Hello):
        _check_version(report.schema_version)
    return report


def _decode(decoder: "msgspec.json.Decoder[T]", data: bytes) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(str(error)) from None


def _check_version(version: int) -> None:
    if version != SCHEMA_VERSION:
        raise DecodeError(f"$.schema_version: {version} is unknown here; {SCHEMA_VERSION} is understood")
