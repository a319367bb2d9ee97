"""One line per transition of a cooldown or of a provider's health."""

from typing import Any

import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.state import Evidence
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass
from cliproxy_sidecar.core.permit import ActiveCooldown
from cliproxy_sidecar.runtime.transitions import MAX_LINES, Transitions

SCOPE = Scope(provider="team/gpt", credential="main")
NOBODY: frozenset[str] = frozenset()


def cooling(
    phase: CooldownPhase = CooldownPhase.COOLING, scope: Scope = SCOPE, share: int = 0
) -> ActiveCooldown:
    return ActiveCooldown(
        scope=scope,
        phase=phase,
        outcome_class=OutcomeClass.RATE_LIMITED,
        reason="429",
        since=0.0,
        until=60.0,
        level=1,
        share_percent=share,
        evidence=Evidence(status=429, sidecar="web-1"),
        fleet=True,
        told=None,
    )


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [(record.levelname, record.message) for record in caplog.records]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def test_a_cooldown_is_told_at_each_of_its_phases_and_not_in_between(
    caplog: pytest.LogCaptureFixture,
) -> None:
    transitions = Transitions()
    for phase, word in (
        (CooldownPhase.COOLING, "cooldown_started"),
        (CooldownPhase.HALF_OPEN, "cooldown_trial"),
        (CooldownPhase.RAMP, "cooldown_ramp"),
    ):
        for _ in range(3):
            transitions.look([cooling(phase, share=25)], NOBODY, 10.0)
        assert said(caplog) == [("WARNING", word)]
    transitions.look([], NOBODY, 10.0)
    transitions.look([], NOBODY, 10.0)
    assert said(caplog) == [("INFO", "cooldown_ended")]


def test_a_line_says_what_where_why_and_how_long(caplog: pytest.LogCaptureFixture) -> None:
    Transitions().look([cooling()], NOBODY, 10.0)
    record: Any = caplog.records[0]
    told = {name: vars(record)[name] for name in ("provider", "credential", "class", "reason", "remaining_s")}
    assert told == {
        "provider": "team/gpt",
        "credential": "main",
        "class": "RateLimited",
        "reason": "429",
        "remaining_s": 50.0,
    }
    assert (record.status, record.sidecar, record.fleet) == (429, "web-1", True)
    assert not hasattr(record, "share_percent")


def test_health_is_told_when_it_turns(caplog: pytest.LogCaptureFixture) -> None:
    transitions = Transitions()
    for unhealthy in (NOBODY, frozenset({"team/gpt"}), frozenset({"team/gpt"}), NOBODY):
        transitions.look([], unhealthy, 0.0)
    assert said(caplog) == [("WARNING", "provider_unhealthy"), ("INFO", "provider_healthy")]


def test_thousands_at_once_are_counted_rather_than_told(caplog: pytest.LogCaptureFixture) -> None:
    scopes = [Scope(provider=f"team/{number}") for number in range(MAX_LINES + 7)]
    Transitions().look([cooling(scope=scope) for scope in scopes], NOBODY, 0.0)
    assert len(caplog.records) == MAX_LINES + 1
    record: Any = caplog.records[-1]
    assert (record.message, record.count) == ("transitions_not_shown", 7)
