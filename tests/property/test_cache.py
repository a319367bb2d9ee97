"""The cache's promises: equal keys mean equal requests, and no bound is ever passed."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cliproxy_api.reuse import Cache
from cliproxy_sidecar.core.cache.entry import Entry
from cliproxy_sidecar.core.cache.key import fields_of, request_key
from cliproxy_sidecar.core.cache.store import Store
from cliproxy_sidecar.core.dialect import CHAT

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(TEXTS.map(lambda name: f"x{name}"), JSON, max_size=5)


def key(raw: bytes) -> bytes | None:
    fields = fields_of(raw)
    assert fields is not None, raw
    return request_key(fields, CHAT, consumer="", model="m", served=b"", query=b"", headers=())


def shuffled(value: Any, draw: st.DataObject) -> Any:
    if isinstance(value, dict):
        names = draw.draw(st.permutations(sorted(value)))
        return {name: shuffled(value[name], draw) for name in names}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


def meaning(value: Any) -> Any:
    """Return a value that is equal exactly where JSON's meaning is: numbers by value, no order of keys."""
    if isinstance(value, dict):
        return ("object", frozenset((name, meaning(item)) for name, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(meaning(item) for item in value))
    if isinstance(value, bool) or value is None:
        return ("word", value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return ("number", int(value))
    return ("text" if isinstance(value, str) else type(value).__name__.replace("int", "number"), value)


STYLES = st.fixed_dictionaries({"ensure_ascii": st.booleans(), "indent": st.sampled_from([None, 1])})


@given(BODIES, st.data(), STYLES)
def test_form_does_not_matter(body: dict[str, Any], draw: st.DataObject, style: dict[str, Any]) -> None:
    other = json.dumps(shuffled(body, draw), **style).encode()
    assert key(other) == key(json.dumps(body).encode())


@given(BODIES, BODIES)
def test_keys_are_equal_iff_meanings_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = key(json.dumps(one).encode()) == key(json.dumps(other).encode())
    assert same == (meaning(one) == meaning(other))


class StoreMachine(RuleBasedStateMachine):
    """Any use of a store keeps its bounds, its count and its promise to give only live answers."""

    def __init__(self) -> None:
        super().__init__()
        self.bounds = Cache(size=3, max_bytes=6000, ttl_s=10)
        self.store = Store(self.bounds)
        self.now = 0.0
        self.put_at: dict[bytes, tuple[float, bytes]] = {}

    @rule(name=st.sampled_from([b"a", b"b", b"c", b"d"]), size=st.integers(0, 6000))
    def put(self, name: bytes, size: int) -> None:
        body = bytes([len(self.put_at) % 251]) * size
        if self.store.put(name, Entry((), body, "p", 0.0), self.now):
            self.put_at[name] = (self.now, body)

    @rule(name=st.sampled_from([b"a", b"b", b"c", b"d"]))
    def get(self, name: bytes) -> None:
        found = self.store.get(name, self.now)
        if found is not None:
            at, body = self.put_at[name]
            assert found.body == body
            assert self.now < at + self.bounds.ttl_s

    @rule(by=st.floats(0, 20))
    def wait(self, by: float) -> None:
        self.now += by

    @rule(size=st.integers(1, 4), most=st.integers(1000, 6000))
    def resize(self, size: int, most: int) -> None:
        self.bounds = Cache(size=size, max_bytes=most, ttl_s=10)
        self.store.resize(self.bounds)

    @invariant()
    def bounds_hold(self) -> None:
        assert len(self.store) <= self.bounds.size
        assert self.store.held_bytes <= self.bounds.max_bytes
        slots = self.store._slots
        assert self.store.held_bytes == sum(slot.entry.size_bytes + len(key) for key, slot in slots.items())


TestStore = StoreMachine.TestCase
