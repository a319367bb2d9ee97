"""Documents survive the wire; nothing but `DecodeError` comes of bytes that are none."""

import pytest

from cliproxy_api import codec
from cliproxy_api.report import Hello, ProviderTraffic, Report, Traffic
from cliproxy_api.reuse import Cache, Redis
from cliproxy_api.snapshot import Position, Profile, Running, Snapshot, SnapshotPush

FIGURES = ProviderTraffic(requests=3, errors=1, latency_sum_ms=120, latency_buckets={50: 2, -1: 1})


@pytest.mark.parametrize(
    "report",
    [
        Traffic(providers={"shop/claude": FIGURES}),
        Hello(sidecar="app-1", namespace="shop", version="1", running=Running()),
    ],
)
def test_a_report_line_says_what_was_told(report: Report) -> None:
    line = codec.encode_report(report)

    assert line.count(b"\n") == 1
    assert codec.decode_report(line.strip()) == report


def test_a_push_is_sealed_by_its_content() -> None:
    snapshot = codec.seal(Snapshot(namespace="shop"))
    body = codec.encode(SnapshotPush(position=Position(1, 2), snapshot=snapshot, secrets={}))

    assert codec.decode_snapshot_push(body).snapshot == snapshot
    assert codec.seal(Snapshot(namespace="shed")).digest != snapshot.digest
    with pytest.raises(codec.DecodeError, match="digest"):
        codec.decode_snapshot_push(body.replace(snapshot.digest.encode(), b""))


def test_a_newer_operators_additive_field_is_passed_over() -> None:
    snapshot = codec.seal(Snapshot(namespace="shop"))
    body = codec.encode(SnapshotPush(position=Position(1, 2), snapshot=snapshot, secrets={}))
    newer = body.replace(b'"namespace":"shop"', b'"namespace":"shop","zones":["a"]')

    assert newer != body
    assert codec.decode_snapshot_push(newer).snapshot == snapshot


def test_a_push_without_the_redis_password_it_names_is_refused() -> None:
    cache = Cache(redis=Redis(url="redis://redis", password="shop/redis/password", password_digest="d1"))
    snapshot = codec.seal(Snapshot(namespace="shop", profile=Profile(name="gold", cache=cache)))
    whole = SnapshotPush(position=Position(1, 2), snapshot=snapshot, secrets={"shop/redis/password": "s"})
    lacking = SnapshotPush(position=Position(1, 2), snapshot=snapshot, secrets={})

    assert codec.decode_snapshot_push(codec.encode(whole)).snapshot == snapshot
    with pytest.raises(codec.DecodeError, match="shop/redis/password' of the cache's Redis"):
        codec.decode_snapshot_push(codec.encode(lacking))


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_what_is_packed_comes_out_again(size: int) -> None:
    data = b"fleet" * (size // 5) + b"x" * (size % 5)

    assert codec.unpack(codec.pack(data), at_most_bytes=size) == data


def test_unpacking_stops_at_its_bound() -> None:
    assert len(codec.unpack(codec.pack(bytes(10_000_000)), at_most_bytes=1000)) == 1001


@pytest.mark.parametrize("data", [b"", b"{}", codec.pack(b"whole")[:-1], codec.pack(b"whole")[:3]])
def test_what_is_not_packed_or_not_whole_is_refused(data: bytes) -> None:
    with pytest.raises(codec.DecodeError, match="content coding"):
        codec.unpack(data, at_most_bytes=100)


def test_an_unknown_schema_version_is_refused() -> None:
    line = codec.encode_report(
        Hello(schema_version=2, sidecar="a", namespace="b", version="1", running=Running())
    )

    with pytest.raises(codec.DecodeError, match="schema_version"):
        codec.decode_report(line.strip())


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"kind":"nobody"}', b"\xff", b"[" * 100_000])
def test_bytes_that_are_no_report(line: bytes) -> None:
    with pytest.raises(codec.DecodeError):
        codec.decode_report(line)


def test_an_instant_without_a_time_zone_is_refused() -> None:
    line = (
        b'{"kind":"tripped","scope":{"provider":"a/b"},"outcome_class":null,"reason":"","remaining_s":1,'
        b'"until_utc":"2026-11-30T12:00:00%s"}'
    )
    assert codec.decode_report(line % b"Z")
    with pytest.raises(codec.DecodeError, match="until_utc"):
        codec.decode_report(line % b"")


def test_a_huge_line_is_refused_unread() -> None:
    with pytest.raises(codec.DecodeError, match="bytes"):
        codec.decode_report(b" " * (codec.MAX_REPORT_LINE_BYTES + 1))
