"""Where an alert stands for one provider: a pure machine over verdicts and time.

    INACTIVE --holds--> PENDING --held for `duration`--> FIRING --`resolve_after` over--> INACTIVE
                           |  (at once for a duration of 0)
                           +--does not hold--> INACTIVE

A verdict of None (nobody knows) never begins anything and ends nothing at once: the state stands for
`UNKNOWN_HOLD`, so that a new leader that has not heard its sidecars yet neither pages nor resolves.
Instants are aware UTC in whole seconds, since they are persisted in status: memory and status are equal.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.vocabulary import AlertState
from cliproxy_operator.alerts.judge import Verdict
from cliproxy_operator.instants import rounded_up

UNKNOWN_HOLD: Final = timedelta(minutes=5)
"""Longer than a leader needs to hear its fleet, shorter than anybody would believe an old figure."""
_NO_TIME: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Timing:
    """A rule's spans."""

    duration: timedelta = _NO_TIME
    resolve_after: timedelta = _NO_TIME
    repeat: timedelta = timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Standing:
    """One provider's state; equal values mean that nothing has happened."""

    state: AlertState
    since: datetime
    value: float | None = None
    """The condition's first metric when the state began."""
    fired_at: datetime | None = None
    """When it last began to fire."""
    clear_since: datetime | None = None
    """Since when the condition has not been seen to hold, while Pending or Firing still stands."""


def step(
    before: Standing | None, verdict: Verdict, *, value: float | None, timing: Timing, now: datetime
) -> Standing:
    """Return the state after a verdict at `now`; `before` itself if nothing has happened."""
    if before is None or before.state is AlertState.INACTIVE:
        return _from_inactive(before, verdict, value, timing, now)
    if verdict:
        return _held(before, value, timing, now)
    return _not_held(before, verdict, value, timing, now)


def _from_inactive(
    before: Standing | None, verdict: Verdict, value: float | None, timing: Timing, now: datetime
) -> Standing:
    since = rounded_up(now)
    if not verdict:
        return before or Standing(AlertState.INACTIVE, since, value)
    fired_at = before.fired_at if before is not None else None
    if timing.duration > _NO_TIME:
        return Standing(AlertState.PENDING, since, value, fired_at)
    return Standing(AlertState.FIRING, since, value, since)


def _held(before: Standing, value: float | None, timing: Timing, now: datetime) -> Standing:
    # `since` was rounded up and `now` is not: nothing fires early.
    if before.state is AlertState.PENDING and now - before.since >= timing.duration:
        return Standing(AlertState.FIRING, rounded_up(now), value, rounded_up(now))
    return replace(before, clear_since=None) if before.clear_since is not None else before


def _not_held(
    before: Standing, verdict: Verdict, value: float | None, timing: Timing, now: datetime
) -> Standing:
    wait = timing.resolve_after if before.state is AlertState.FIRING else _NO_TIME
    if verdict is None:
        wait = max(wait, UNKNOWN_HOLD)
    clear_since = before.clear_since or rounded_up(now)
    if wait == _NO_TIME or now - clear_since >= wait:
        return Standing(AlertState.INACTIVE, rounded_up(now), value, before.fired_at)
    return replace(before, clear_since=clear_since) if before.clear_since is None else before
