"""Whatever providers do: nothing fires early, nobody is told twice, restarts do not show."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.vocabulary import AlertState, Delivery
from cliproxy_operator.alerts.machine import UNKNOWN_HOLD
from support.alerting import BAD, GOOD, START, UNKNOWN, Play
from support.objects import alert_rule

HOOKS = [{"name": name, "webhook": {"url": "http://127.0.0.1:9/hook"}} for name in ("hook", "page")]
CHANNELS = ("hook", "page")
figures = st.sampled_from([BAD, BAD, GOOD, UNKNOWN])
steps = st.lists(
    st.tuples(
        st.integers(1, 400),
        st.dictionaries(st.sampled_from("abc"), figures),
        st.sampled_from(["hook", "page", "both", "none"]),
        st.booleans(),
    ),
    max_size=40,
)
spans = st.sampled_from(["0s", "5s", "1m", "5m"])
Steps = list[tuple[int, dict[str, Any], str, bool]]


def play_of(duration: str, after: str, repeat: str) -> Play:
    return Play(
        alert_rule(
            notifications=HOOKS,
            duration=duration,
            repeatInterval=repeat,
            resolve={"after": after, "notify": True},
        )
    )


def deliver(play: Play, which: str) -> None:
    for channel in CHANNELS:
        play.deliver(channel, Delivery.DELIVERED if which in (channel, "both") else Delivery.FAILED)


@given(todo=steps, duration=spans, after=spans)
def test_nothing_fires_before_its_duration(todo: Steps, duration: str, after: str) -> None:
    play, second = play_of(duration, after, "1h"), 0
    span = play.alerts.timing.duration
    held: dict[str, datetime] = {}
    for passed, providers, _, restart in todo:
        second += passed
        now = START + timedelta(seconds=second)
        before = {name: one.standing.state for name, one in play.alerts.entries.items()}
        for name in [name for name in held if name not in providers or providers[name] == GOOD]:
            del held[name]
        for name, one in providers.items():
            if one == BAD:
                held.setdefault(name, now)
        play.at(second, **providers)
        for name, one in play.alerts.entries.items():
            if one.standing.state is AlertState.FIRING and before.get(name) is not AlertState.FIRING:
                assert providers[name] == BAD, "what is not known never fires"
                assert now - held[name] >= span
        if restart:
            play.restart()


@given(todo=steps, duration=spans, after=spans, repeat=st.sampled_from(["1m", "10m", "4h"]))
def test_nobody_is_told_twice_and_everything_is_resolved_once(
    todo: Steps, duration: str, after: str, repeat: str
) -> None:
    play, second = play_of(duration, after, repeat), 0
    for passed, providers, which, restart in todo:
        second += passed
        play.at(second, **providers)
        deliver(play, which)
        if restart:
            play.restart()
    for _ in range(12):  # all is well again, and channels work
        second += 60
        play.at(second, a=GOOD, b=GOOD, c=GOOD)
        deliver(play, "both")

    for channel in CHANNELS:
        for provider in "abc":
            story = [
                (fires, when) for to, name, fires, when in play.sent if (to, name) == (channel, provider)
            ]
            told: datetime | None = None
            for fires, when in story:
                if fires:
                    assert told is None or when - told >= play.alerts.timing.repeat
                else:
                    assert told is not None, "over, and nobody had been told that it fires"
                told = when if fires else None
            given_up = any(passed > 300 for passed, *_ in todo)
            assert told is None or given_up, "never told that it is over"
    assert all(one.standing.state is AlertState.INACTIVE for one in play.alerts.entries.values())
    assert all(not one.told for one in play.alerts.entries.values())


@given(todo=steps, duration=spans, after=spans, repeat=st.sampled_from(["1m", "10m"]))
def test_a_restart_at_any_point_changes_nothing(todo: Steps, duration: str, after: str, repeat: str) -> None:
    steady, restless, second = play_of(duration, after, repeat), play_of(duration, after, repeat), 0
    for passed, providers, which, restart in todo:
        second += passed
        for play in (steady, restless):
            play.at(second, **providers)
        if restart:
            restless.restart()
        if which != "none":
            for play in (steady, restless):
                for channel in CHANNELS:
                    if which in (channel, "both"):
                        play.deliver(channel)
        if restart:
            restless.restart()
        assert restless.status() == steady.status()
    assert restless.sent == steady.sent


@given(todo=steps, duration=spans, after=spans)
def test_nothing_stands_for_ever_without_a_word(todo: Steps, duration: str, after: str) -> None:
    play, second = play_of(duration, after, "1h"), 0
    for passed, providers, _, _ in todo:
        second += passed
        play.at(second, **providers)
    names = dict.fromkeys(play.alerts.entries, UNKNOWN)
    play.at(second + 1, **names)
    play.at(second + 2 + int(max(UNKNOWN_HOLD, timedelta(minutes=5)).total_seconds()), **names)
    assert all(one.standing.state is AlertState.INACTIVE for one in play.alerts.entries.values())
