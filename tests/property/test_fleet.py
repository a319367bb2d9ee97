"""The fleet under any order of reports, comings and goings, and time: no dead end, one permit, bounds."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cliproxy_api.report import ProviderTraffic, Recovered, Report, Traffic, Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import CooldownRules, Recovery
from cliproxy_api.vocabulary import COUNTED_CLASSES, CooldownPhase, OutcomeClass, RecoveryProbe
from cliproxy_operator.fleet_scope import RETOLD
from support.cooling import provider
from support.fleets import WEB_0, WEB_1, WEB_2, TimedFleet, counted, probed, settled, started, tripped

pytestmark = pytest.mark.timeout(300)  # the machine may be busy; the work is bounded

SIDECARS = (WEB_0, WEB_1, WEB_2)
KEYS, MODELS = ("k", "l"), ("up", "down")
SCOPES = [
    Scope(provider="ns/p", credential=key, model=model) for key in (None, *KEYS) for model in (None, *MODELS)
]
scopes = st.sampled_from([*SCOPES, Scope(provider="ns/unknown"), Scope(provider="ns/p", model="unknown")])
classes = st.sampled_from(sorted(COUNTED_CLASSES))
levels = st.integers(0, 4)
seconds = st.floats(0, 200)


def a_provider(probe: RecoveryProbe, trials: int, ramp: tuple[int, ...], **changes: object) -> object:
    recovery = Recovery(
        probe=probe, trials=trials, ramp_percent=ramp, check_interval_s=5.0, backoff_s=2.0, max_attempts=1
    )
    rules = CooldownRules(recovery=recovery, error_threshold=4, max_duration_s=300.0)
    return provider(
        cooldown=rules,
        credentials=[(key, 1) for key in KEYS],
        models=[(model, model) for model in MODELS],
        **changes,
    )


reports: st.SearchStrategy[Report] = st.one_of(
    st.builds(
        lambda remaining_s, scope, level, cls, fleet: tripped(
            remaining_s, scope=scope, level=level, cls=cls, fleet=fleet
        ),
        seconds,
        scopes,
        levels,
        st.none() | classes,
        st.sampled_from([True, True, True, False]),
    ),
    st.builds(lambda count, scope, cls: counted(count, scope=scope, cls=cls), levels, scopes, classes),
    st.builds(started, levels, scopes),
    st.builds(settled, levels, scopes),
    st.builds(lambda ok, healthy: probed(ok=ok, healthy=healthy), st.booleans(), st.booleans()),
    st.just(Recovered(provider="ns/p", by="kim")),
    st.just(Traffic(providers={"ns/p": ProviderTraffic(requests=3)})),
)


class FleetMachine(RuleBasedStateMachine):
    """Anything may happen in any order."""

    @initialize(
        probe=st.sampled_from(list(RecoveryProbe)),
        trials=st.integers(1, 3),
        ramp=st.sampled_from([(), (100,), (10, 50, 100)]),
    )
    def begin(self, probe: RecoveryProbe, trials: int, ramp: tuple[int, ...]) -> None:
        self.shape = (probe, trials, ramp)
        self.timed = TimedFleet(a_provider(*self.shape), sidecars=[])
        self.connected: set[object] = set()

    @rule(report=reports, sidecar=st.sampled_from(SIDECARS))
    def hear(self, report: Report, sidecar: object) -> None:
        self.timed.hear(report, sidecar)

    @rule(report=reports, sidecar=st.sampled_from(SIDECARS))
    def hear_it_twice(self, report: Report, sidecar: object) -> None:
        self.timed.hear(report, sidecar)
        self.timed.wait(0)
        before = self.timed.fleet.cooldowns("ns/p")
        if isinstance(report, Tripped) and report.remaining_s >= 1:
            self.timed.hear(report, sidecar)
            assert self.timed.fleet.cooldowns("ns/p") == before

    @rule(sidecar=st.sampled_from(SIDECARS))
    def come(self, sidecar: object) -> None:
        self.timed.present(sidecar)
        self.connected.add(sidecar)

    @precondition(lambda self: self.connected)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        sidecar = data.draw(st.sampled_from(sorted(self.connected)))
        self.connected.discard(sidecar)
        self.timed.gone(sidecar)

    @rule(passed_s=seconds)
    def wait(self, passed_s: float) -> None:
        self.timed.wait(passed_s)

    @rule(passed_s=seconds)
    def oversleep(self, passed_s: float) -> None:
        """Nobody ticked in time: the loop was busy, the machine slept."""
        self.timed.now += timedelta(seconds=passed_s)

    @rule(digest=st.sampled_from(["d1", "d2"]), address=st.sampled_from(["http://a/v1", "http://b/v1"]))
    def configure(self, digest: str, address: str) -> None:
        self.timed.configure(a_provider(*self.shape, digest=digest, base_url=address))

    @rule()
    def recover(self) -> None:
        self.timed.fleet.recover("ns/p", self.timed.now)
        assert self.timed.fleet.cooldowns("ns/p") == ()

    @rule(duration_s=st.floats(1, 1000))
    def cool(self, duration_s: float) -> None:
        self.timed.fleet.cooldown("ns/p", duration_s, "by hand", self.timed.now)
        entry = self.timed.fleet.cooldowns("ns/p")[0]
        assert entry.until_utc >= self.timed.now + timedelta(seconds=duration_s) - RETOLD

    @invariant()
    def every_entry_has_a_next_instant(self) -> None:
        wake = self.timed.fleet.wake_at()
        for entry in self.timed.fleet.cooldowns("ns/p"):
            assert wake is not None
            assert wake <= entry.until_utc

    @invariant()
    def one_holder_and_it_is_connected(self) -> None:
        entries = self.timed.fleet.cooldowns("ns/p")
        holders = {entry.trial_sidecar for entry in entries if entry.trial_sidecar is not None}
        assert len(holders) <= 1
        assert all(entry.phase is CooldownPhase.HALF_OPEN for entry in entries if entry.trial_sidecar)

    @invariant()
    def it_is_bounded(self) -> None:
        assert len(self.timed.fleet.cooldowns("ns/p")) <= len(SCOPES)
        assert len(self.timed.fleet.state("ns", frozenset({"ns/p", "ns/unknown"})).probes) <= 1

    def teardown(self) -> None:
        """Left alone, whatever the state, all closes in bounded time."""
        if hasattr(self, "timed"):
            self.timed.wait(1000 + 600 + 120 + 60 + 3 * 5 + 1)
            assert self.timed.fleet.cooldowns("ns/p") == ()
            assert self.timed.fleet.state("ns", frozenset({"ns/p"})).unhealthy == ()
            assert self.timed.fleet.wake_at() is None


FleetMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestFleetMachine = FleetMachine.TestCase

news = st.lists(
    st.tuples(st.integers(1, 60).map(lambda number: number * 5.0), st.sampled_from(SCOPES), levels, classes),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(told=news, shuffled=st.data())
def test_any_order_of_trips_ends_in_the_same_deadlines(told: list, shuffled: st.DataObject) -> None:
    one, other = TimedFleet(a_provider(RecoveryProbe.REQUEST, 1, (100,))), None
    other = TimedFleet(a_provider(RecoveryProbe.REQUEST, 1, (100,)))
    for remaining_s, scope, level, cls in told:
        one.hear(tripped(remaining_s, scope=scope, level=level, cls=cls))
    for remaining_s, scope, level, cls in shuffled.draw(st.permutations(told)):
        other.hear(tripped(remaining_s, scope=scope, level=level, cls=cls))
    assert summary(one) == summary(other)
    for scope in {scope for _, scope, _, _ in told}:
        latest = max(remaining_s for remaining_s, of, _, _ in told if of == scope)
        assert summary(one)[scope][0] == latest


def summary(timed: TimedFleet) -> dict[Scope, tuple[float, int]]:
    return {
        entry.scope: (timed.seconds(entry.until_utc), entry.level) for entry in timed.fleet.cooldowns("ns/p")
    }


@settings(deadline=None)
@given(remains=st.lists(st.floats(0.1, 299), min_size=1, max_size=8))
def test_the_latest_deadline_holds_within_the_tolerance(remains: list[float]) -> None:
    timed = TimedFleet()
    for remaining_s in remains:
        timed.hear(tripped(remaining_s, cls=OutcomeClass.RATE_LIMITED))
    until = timed.seconds(timed.one().until_utc)
    assert max(remains) - RETOLD.total_seconds() <= until <= max(remains) + 1
