"""A kept fleet state after a restart: what cooled cools on, nothing is opened by an old permit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Position
from cliproxy_api.state import FleetCooldown, FleetState, StatePush
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_sidecar.core.kept_state import still_cooling

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def kept(phase: CooldownPhase, until: datetime) -> StatePush:
    one = FleetCooldown(
        scope=Scope(provider="a/b"),
        phase=phase,
        since_utc=NOON - MINUTE,
        until_utc=until,
        level=2,
        trial_sidecar="me" if phase is CooldownPhase.HALF_OPEN else None,
        share_percent=50 if phase is CooldownPhase.RAMP else 0,
    )
    state = FleetState(cooldowns=(one,), unhealthy=("a/b",), probes={"a/b": "me"})
    return StatePush(position=Position(3, 4), sent_at_utc=NOON - MINUTE, state=state)


def test_a_cooldown_ends_when_it_would_have() -> None:
    push = still_cooling(kept(CooldownPhase.COOLING, NOON + MINUTE), NOON)
    assert push.sent_at_utc == NOON
    assert push.state.cooldowns[0].until_utc == NOON + MINUTE
    assert (push.state.unhealthy, push.state.probes) == ((), {})


@pytest.mark.parametrize("phase", [CooldownPhase.HALF_OPEN, CooldownPhase.RAMP])
def test_what_was_on_its_way_back_is_tried_from_the_beginning(phase: CooldownPhase) -> None:
    (one,) = still_cooling(kept(phase, NOON + MINUTE), NOON).state.cooldowns
    assert (one.phase, one.until_utc) == (CooldownPhase.COOLING, NOON)
    assert (one.trial_sidecar, one.share_percent, one.level) == (None, 0, 2)
