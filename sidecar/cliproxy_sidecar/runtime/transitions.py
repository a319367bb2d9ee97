"""One log line for each change of a cooldown's phase and of a provider's health.

It compares what is true after each step of the machines with what it said last, so that no way into a state
is forgotten: a failure, the fleet's word, a timer, a person. What the states mean is the machines' business.
"""

import logging
from collections.abc import Iterable
from typing import Any, Final

from cliproxy_api.scope import Scope
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_sidecar.core.permit import ActiveCooldown

log = logging.getLogger(__name__)

MAX_LINES: Final = 100
"""Of one step; a fleet's document can move thousands of scopes at once."""
_WORDS: Final = {
    CooldownPhase.COOLING: "cooldown_started",
    CooldownPhase.HALF_OPEN: "cooldown_trial",
    CooldownPhase.RAMP: "cooldown_ramp",
}


class Transitions:
    """What was said last."""

    def __init__(self) -> None:
        self._phases: dict[Scope, CooldownPhase] = {}
        self._unhealthy: frozenset[str] = frozenset()
        self._left = 0

    def look(self, active: Iterable[ActiveCooldown], unhealthy: frozenset[str], now: float) -> None:
        """Say what has changed since the last look. `now`: monotonic seconds."""
        before, self._left = self._phases, MAX_LINES
        self._phases = {}
        for one in active:
            self._phases[one.scope] = one.phase
            if before.get(one.scope) is not one.phase:
                self._say(logging.WARNING, _WORDS[one.phase], _about(one, now))
        for scope in before.keys() - self._phases.keys():
            self._say(logging.INFO, "cooldown_ended", _named(scope))
        for provider in sorted(unhealthy - self._unhealthy):
            self._say(logging.WARNING, "provider_unhealthy", {"provider": provider})
        for provider in sorted(self._unhealthy - unhealthy):
            self._say(logging.INFO, "provider_healthy", {"provider": provider})
        self._unhealthy = unhealthy
        if self._left < 0:
            log.warning("transitions_not_shown", extra={"count": -self._left})

    def _say(self, level: int, word: str, about: dict[str, Any]) -> None:
        self._left -= 1
        if self._left >= 0:
            log.log(level, word, extra=about)


def _about(one: ActiveCooldown, now: float) -> dict[str, Any]:
    evidence = one.evidence
    about = _named(one.scope) | {
        "class": None if one.outcome_class is None else one.outcome_class.value,
        "reason": one.reason,
        "remaining_s": round(max(one.until - now, 0.0), 1),
        "cooldown_level": one.level,
        "fleet": one.fleet,
    }
    if one.phase is CooldownPhase.RAMP:
        about["share_percent"] = one.share_percent
    told = {"status": evidence.status, "code": evidence.code, "sidecar": evidence.sidecar}
    return about | {key: value for key, value in told.items() if value is not None}


def _named(scope: Scope) -> dict[str, Any]:
    named = {"provider": scope.provider, "credential": scope.credential, "model": scope.model}
    return {key: value for key, value in named.items() if value is not None}
