"""Kept answers: which goes first, when each ends, and what is too large."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.reuse import Cache
from cliproxy_sidecar.core.cache.entry import (
    MAX_ENTRY_BYTES,
    OVERHEAD_BYTES,
    Entry,
    from_wire,
    kept_headers,
    to_wire,
)
from cliproxy_sidecar.core.cache.store import Store

MIB = 1024 * 1024


def entry(body: bytes = b"x", at: float = 0.0) -> Entry:
    return Entry(((b"content-type", b"application/json"),), body, "gpt", at)


def test_the_least_recently_used_goes_first() -> None:
    store = Store(Cache(size=2, ttl_s=10))
    store.put(b"a", entry(b"a"), 0)
    store.put(b"b", entry(b"b"), 0)
    assert store.get(b"a", 1) == entry(b"a")
    store.put(b"c", entry(b"c"), 1)
    assert store.get(b"b", 1) is None
    assert store.get(b"a", 1) is not None
    assert store.evictions == {"size": 1, "bytes": 0, "expired": 0}


def test_an_answer_ends_with_its_ttl_and_not_before() -> None:
    store = Store(Cache(ttl_s=10))
    store.put(b"a", entry(), 0)
    assert store.get(b"a", 9.9) is not None
    assert store.get(b"a", 10) is None
    assert (len(store), store.held_bytes, store.evictions["expired"]) == (0, 0, 1)


def test_the_dead_go_before_the_living() -> None:
    store = Store(Cache(size=2, ttl_s=10))
    store.put(b"a", entry(), 0)
    store.put(b"b", entry(), 5)
    store.put(b"c", entry(), 11)
    assert store.get(b"b", 11) is not None
    assert store.get(b"c", 11) is not None
    assert store.evictions == {"size": 0, "bytes": 0, "expired": 1}


def test_what_comes_from_elsewhere_keeps_its_own_end() -> None:
    store = Store(Cache(ttl_s=10))
    assert store.put(b"a", entry(), 0, ttl_s=3)
    assert store.get(b"a", 3) is None
    assert not store.put(b"a", entry(), 0, ttl_s=0)


def test_bytes_are_bounded_too() -> None:
    store = Store(Cache(size=1000, max_bytes=MIB, ttl_s=10))
    body = b"x" * (MIB // 3)
    for name in (b"a", b"b", b"c"):
        store.put(name, entry(body), 0)
    assert store.get(b"a", 0) is None
    assert store.get(b"c", 0) is not None
    assert store.held_bytes <= MIB
    assert store.evictions["bytes"] == 1


def test_what_is_too_large_is_not_kept_and_drives_nothing_out() -> None:
    store = Store(Cache(max_bytes=MIB, ttl_s=10))
    store.put(b"a", entry(), 0)
    assert not store.put(b"b", entry(b"x" * (MIB - OVERHEAD_BYTES)), 0)
    wide = Store(Cache(max_bytes=64 * MIB, ttl_s=10))
    assert not wide.put(b"b", entry(b"x" * (MAX_ENTRY_BYTES + 1)), 0)
    assert store.get(b"a", 0) is not None


def test_replacing_an_answer_counts_it_once() -> None:
    store = Store(Cache(ttl_s=10))
    store.put(b"a", entry(b"x" * 100), 0)
    store.put(b"a", entry(b"y"), 0)
    assert store.get(b"a", 0) == entry(b"y")
    assert store.held_bytes == entry(b"y").size_bytes + 1


def test_smaller_bounds_take_effect_at_once() -> None:
    store = Store(Cache(size=10, ttl_s=10))
    for name in (b"a", b"b", b"c"):
        store.put(name, entry(), 0)
    store.resize(Cache(size=1, ttl_s=10))
    assert len(store) == 1
    assert store.get(b"c", 0) is not None


def test_an_entry_survives_the_wire() -> None:
    assert from_wire(to_wire(entry(b"\x00\xff"))) == entry(b"\x00\xff")


def test_what_is_no_entry_is_a_miss() -> None:
    good = to_wire(entry())
    for bad in (b"", b"\xc1", good[:-1], good.replace(b"\x92\x01", b"\x92\x02", 1), b"{}"):
        assert from_wire(bad) is None


TYPE = (b"content-type", b"application/json")
UNSOUND = [
    Entry(((b"content-type", b"a\r\nset-cookie: b"),), b"", "gpt", 0.0),
    Entry((TYPE, (b"content-length", b"5")), b"", "gpt", 0.0),
    Entry((TYPE, (b"transfer-encoding: x\r\n", b"")), b"", "gpt", 0.0),
    Entry((TYPE,), b"x" * (MAX_ENTRY_BYTES + 1), "gpt", 0.0),
    Entry((TYPE,), b"", "x" * 1000, 0.0),
    Entry((TYPE,), b"", "gpt", float("nan")),
    Entry((TYPE,), b"", "gpt", float("inf")),
    Entry((TYPE,), b"", "gpt", -1.0),
]


@pytest.mark.parametrize("unsound", UNSOUND)
def test_an_entry_that_we_never_wrote_is_a_miss(unsound: Entry) -> None:
    assert from_wire(to_wire(unsound)) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_none(data: bytes) -> None:
    found = from_wire(data)
    assert found is None or from_wire(to_wire(found)) == found


def test_only_what_is_about_the_answer_is_told_again() -> None:
    headers = [
        (b"content-type", b"text/event-stream"),
        (b"x-request-id", b"req_1"),
        (b"x-ratelimit-remaining-requests", b"5"),
        (b"date", b"now"),
        (b"x-cliproxy-provider", b"gpt"),
        (b"x-cliproxy-attempts", b"2"),
    ]
    assert kept_headers(headers) == (headers[0], headers[4])


def test_clocks_that_differ_make_no_negative_age() -> None:
    assert entry(at=100.0).age_s(90.0) == 0.0
    assert entry(at=100.0).age_s(130.5) == 30.5
