"""Reading states one after the other is reading each by itself, whatever stood in those before."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api import codec
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Position
from cliproxy_api.state import Amount, FleetCooldown, FleetState, Spent, StatePush
from cliproxy_api.vocabulary import CooldownPhase

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
names = st.sampled_from(["a/x", "a/y", "b/ü"])
instants = st.sampled_from([NOON, NOON + timedelta(hours=1)])
amounts = st.builds(Amount, used=st.integers(0, 2), until_utc=instants)
cooldowns = st.builds(
    FleetCooldown,
    scope=st.builds(Scope, provider=names),
    phase=st.sampled_from(CooldownPhase),
    since_utc=instants,
    until_utc=instants,
)
counts = st.dictionaries(names, st.integers(0, 2), max_size=2)
states = st.builds(
    FleetState,
    cooldowns=st.lists(cooldowns, max_size=2).map(tuple),
    unhealthy=st.lists(names, max_size=2).map(tuple),
    probes=st.dictionaries(names, st.sampled_from(["pod-1", "pod-2"]), max_size=2),
    sharers=counts,
    consumer_sharers=counts,
    floors=counts,
    consumer_floors=counts,
    quotas=st.dictionaries(names, amounts, max_size=2),
    budgets=st.dictionaries(names, st.builds(Spent, day=st.none() | amounts), max_size=2),
    recovered=st.dictionaries(names, instants, max_size=2),
)
FIELDS = [name for name in FleetState.__struct_fields__ if name != "schema_version"]
WRONG: tuple[Any, ...] = (None, 1, "x", [1], {"a": []}, {"a": {"used": 1}}, {"a": "2026-11-21T12:00:00"})


def document(state: FleetState, sequence: int = 1) -> bytes:
    return codec.encode(StatePush(position=Position(1, sequence), sent_at_utc=NOON, state=state))


def by_itself(data: bytes) -> StatePush | str:
    try:
        return codec.decode_state_push(data)
    except codec.DecodeError as error:
        return str(error)


def spoilt(data: bytes, field: str, wrong: Any) -> bytes:
    sent = json.loads(data)
    sent["state"][field] = wrong
    return json.dumps(sent).encode()


broken = st.tuples(st.sampled_from([*FIELDS, "unheard_of"]), st.sampled_from(WRONG))


@given(st.lists(st.tuples(states, st.none() | broken, st.integers(0, 40)), max_size=6))
def test_whatever_came_before(sent: list[tuple[FleetState, tuple[str, Any] | None, int]]) -> None:
    reader = codec.StateReader()
    for number, (state, wrong, cut) in enumerate(sent):
        data = document(state, number)
        if wrong is not None:
            data = spoilt(data, *wrong)
        if cut < 10:
            data = data[: len(data) - cut]
        try:
            read: StatePush | str = reader.read(data)
        except codec.DecodeError as error:
            read = str(error)
        assert read == by_itself(data)


def test_what_is_sent_again_is_not_built_again() -> None:
    reader = codec.StateReader()
    state = FleetState(probes={"a/x": "pod-1"}, sharers={"a/x": 2})
    first = reader.read(document(state)).state
    cooling = FleetCooldown(
        scope=Scope(provider="a/x"), phase=CooldownPhase.COOLING, since_utc=NOON, until_utc=NOON
    )
    changed = FleetState(probes={"a/x": "pod-1"}, sharers={"a/x": 3}, cooldowns=(cooling,))
    second = reader.read(document(changed)).state
    assert second == changed
    assert second.probes is first.probes
    assert first.sharers == {"a/x": 2}


def test_a_version_that_is_unknown_is_refused_as_ever() -> None:
    with pytest.raises(codec.DecodeError, match="99 is unknown"):
        codec.StateReader().read(spoilt(document(FleetState()), "schema_version", 99))
