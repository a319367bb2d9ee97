"""Whatever happens in whatever order, these things hold for the cooldowns of a sidecar."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cliproxy_api.report import Failed, Report, Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.state import FleetCooldown
from cliproxy_api.vocabulary import COUNTED_CLASSES, CooldownPhase, CooldownScope, OutcomeClass, RecoveryProbe
from cliproxy_sidecar.core.outcome import SUCCESS, Outcome
from cliproxy_sidecar.core.permit import Permit
from support.cooling import ME, PLAIN, Scripted, entry, failed, machine, provider, push, rules, target

T = TypeVar("T")

CREDENTIALS = (("k1", 1), ("k2", 1))
MODELS = (("m1", "up1"), ("m2", "up2"))
TARGETS = tuple((key, model) for key in range(2) for model in range(2))
SCOPES = (
    Scope(provider="ns/p"),
    Scope(provider="ns/p", credential="k1"),
    Scope(provider="ns/p", model="up2"),
    Scope(provider="ns/p", credential="k1", model="up1"),
    Scope(provider="ns/p", credential="k2", model="up2"),
)
GUILTY = sorted(COUNTED_CLASSES)
INNOCENT = sorted(set(OutcomeClass) - COUNTED_CLASSES - {OutcomeClass.SUCCESS})

seconds = st.floats(min_value=0.0, max_value=200.0, allow_nan=False)
hints = st.none() | st.floats(min_value=0.0, max_value=100_000.0, allow_nan=False)
entries = st.builds(
    entry,
    st.sampled_from(SCOPES),
    st.sampled_from(CooldownPhase),
    until_s=st.floats(min_value=-30.0, max_value=600.0, allow_nan=False).map(round),
    level=st.integers(0, 3),
    share_percent=st.sampled_from((10, 25, 50, 100)),
    trial=st.sampled_from((None, ME, "another")),
    outcome_class=st.sampled_from((None, OutcomeClass.RATE_LIMITED, OutcomeClass.AUTH)),
)
documents = st.lists(entries, max_size=4, unique_by=lambda item: item.scope).map(tuple)


@dataclass(eq=False)
class Attempt:
    """A permit that is out, and which half-open phases it was let into."""

    permit: Permit
    trials: frozenset[tuple[Scope, int]]


class CooldownMachine(RuleBasedStateMachine):
    """Two keys and two models of one provider, any traffic, any documents, links that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.chance = Scripted()
        self.open: list[Attempt] = []
        self.document: tuple[FleetCooldown, ...] = ()
        self.attached = False

    @initialize(
        scope=st.sampled_from(CooldownScope),
        probe=st.sampled_from(RecoveryProbe),
        trials=st.integers(1, 2),
        jitter=st.sampled_from((0.0, 0.5)),
        threshold=st.integers(1, 4),
    )
    def begin(
        self, scope: CooldownScope, probe: RecoveryProbe, trials: int, jitter: float, threshold: int
    ) -> None:
        policy = rules(
            PLAIN,
            scope=scope,
            jitter=jitter,
            error_threshold=threshold,
            recovery={"probe": probe, "trials": trials},
        )
        self.provider = provider(cooldown=policy, credentials=CREDENTIALS, models=MODELS)
        self.targets = [target(self.provider, key=key, model=model) for key, model in TARGETS]
        self.cooldowns = machine(self.provider, now=self.now, chance=self.chance)

    # ------------------------------------------------------------- what may happen
    @rule(passed=seconds)
    def time_passes(self, passed: float) -> None:
        self.now += passed
        self.keeping_deadlines(lambda: self.cooldowns.advance(self.now))

    @rule(which=st.sampled_from(range(4)), chance=st.floats(0.0, 0.999))
    def a_request_asks(self, which: int, chance: float) -> None:
        self.chance.value = chance
        half_open = self.half_open(which)
        foreseen = self.cooldowns.peek(self.targets[which], self.now)
        answer = self.keeping_deadlines(lambda: self.cooldowns.admit(self.targets[which], self.now))
        if isinstance(answer, Permit):
            assert foreseen is None
            self.open.append(Attempt(answer, half_open))
        else:
            assert answer.until > self.now
            assert foreseen is not None or answer.phase is CooldownPhase.RAMP

    @rule(which=st.sampled_from(range(4)))
    def a_request_insists(self, which: int) -> None:
        asked = self.half_open(which)
        before = self.cooldowns.peek(self.targets[which], self.now)
        permit = self.keeping_deadlines(lambda: self.cooldowns.force(self.targets[which], self.now))
        self.open.append(Attempt(permit, asked if before is None and permit.trials else frozenset()))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), cls=st.sampled_from(GUILTY), hint_s=hints, chance=st.floats(0.0, 1.0))
    def an_attempt_fails(self, data: st.DataObject, cls: OutcomeClass, hint_s: float, chance: float) -> None:
        self.chance.value = chance
        attempt = self.take(data)
        scopes = data.draw(st.lists(st.sampled_from(attempt.permit.target.scopes), max_size=2, unique=True))
        self.settle(attempt, failed(cls, hint_s=hint_s), tuple(scopes))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def an_answer_begins(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(self.open))
        before = self.scopes_in_use()
        self.keeping_deadlines(lambda: self.cooldowns.answered(attempt.permit, self.now))
        attempt.trials = frozenset()
        assert self.scopes_in_use() <= before

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def an_attempt_succeeds(self, data: st.DataObject) -> None:
        before = self.scopes_in_use()
        assert not told_of_failure(self.settle(self.take(data), SUCCESS, ()))
        assert self.scopes_in_use() <= before

    @precondition(lambda self: self.open)
    @rule(data=st.data(), cls=st.sampled_from(INNOCENT), status=st.sampled_from((None, 400)), hint_s=hints)
    def the_caller_is_at_fault(
        self, data: st.DataObject, cls: OutcomeClass, status: int | None, hint_s: float | None
    ) -> None:
        before = self.scopes_in_use()
        attempt = self.take(data)
        outcome = failed(cls, hint_s=hint_s, status=status)
        reports = self.settle(attempt, outcome, attempt.permit.target.scopes)
        assert not told_of_failure(reports)
        assert self.scopes_in_use() <= before

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def a_permit_is_settled_twice(self, data: st.DataObject) -> None:
        attempt = self.take(data)
        self.settle(attempt, SUCCESS, ())
        before = self.cooldowns.active(self.now)
        scopes = attempt.permit.target.scopes
        assert self.cooldowns.settle(attempt.permit, failed(hint_s=9000.0), scopes, self.now) == ()
        assert self.cooldowns.active(self.now) == before

    @rule(document=documents)
    def a_document_comes(self, document: tuple[FleetCooldown, ...]) -> None:
        unheard = {
            report.scope: report.remaining_s
            for report in self.cooldowns.standing_reports(self.now)
            if isinstance(report, Tripped)
        }
        self.document = document
        self.cooldowns.adopt(push(*document), self.now)
        stays = {cooldown.scope: cooldown for cooldown in self.cooldowns.active(self.now)}
        for scope, remaining_s in unheard.items():
            # What no document knew stays at least as long, but for the rounding of whoever acknowledges it.
            assert stays[scope].phase is CooldownPhase.COOLING
            assert stays[scope].until >= self.now + remaining_s - 1e-6
        for scope in stays.keys() - unheard.keys() - {item.scope for item in document}:
            # Only what this sidecar found on its own may be left besides what is listed.
            left = self.cooldowns._scopes.known(scope)
            assert left is not None
            assert left.own or left.alone

    @rule(delay_s=seconds)
    def the_same_document_comes_again(self, delay_s: float) -> None:
        before = {item.scope: item for item in self.cooldowns.active(self.now)}
        self.cooldowns.adopt(push(*self.document, sent_s=delay_s), self.now)
        after = {item.scope: item for item in self.cooldowns.active(self.now)}
        mine = {item.scope for item in self.document if item.trial_sidecar == ME}
        assert after.keys() <= before.keys()
        for scope, item in before.items():
            if item.phase is CooldownPhase.COOLING:
                # Sent later and here at once: the one before was late, and so is the deadline that it told.
                still = after.get(scope, item)
                assert still.phase is not CooldownPhase.COOLING or still.until <= item.until
            elif item.phase is CooldownPhase.HALF_OPEN and scope in mine:
                # A permit that ended with its link is given anew.
                assert after[scope].phase is CooldownPhase.HALF_OPEN
            else:
                assert after[scope] == item

    @rule(attached=st.booleans())
    def the_link_comes_or_goes(self, attached: bool) -> None:  # noqa: FBT001 - drawn
        self.attached = attached
        self.keeping_deadlines(lambda: self.cooldowns.attach(attached, self.now))

    @rule(duration_s=st.floats(min_value=1.0, max_value=7200.0))
    def a_person_cools(self, duration_s: float) -> None:
        self.keeping_deadlines(lambda: self.cooldowns.cooldown("ns/p", duration_s, "manual", self.now))
        whole = [item for item in self.cooldowns.active(self.now) if item.scope == SCOPES[0]]
        assert whole[0].until >= self.now + duration_s

    @rule()
    def a_person_recovers(self) -> None:
        self.cooldowns.recover("ns/p", "me", self.now)
        assert self.cooldowns.active(self.now) == ()

    @rule()
    def the_same_configuration_comes(self) -> None:
        before = self.cooldowns.active(self.now)
        self.cooldowns.configure((self.provider,), self.now)
        assert self.cooldowns.active(self.now) == before

    # ---------------------------------------------------------------- what holds
    @invariant()
    def one_trial_at_a_time(self) -> None:
        trials = [trial for attempt in self.open for trial in attempt.trials]
        assert len(trials) == len(set(trials))

    @invariant()
    def permits_are_counted(self) -> None:
        assert self.cooldowns.outstanding == len(self.open)

    @invariant()
    def idle_means_that_nothing_cools(self) -> None:
        # Lazily closed scopes may leave it busy for a while, never idle by mistake.
        active = self.cooldowns.active(self.now)
        assert self.cooldowns.is_idle == (not active)

    @invariant()
    def no_scope_out_of_use_is_overlooked(self) -> None:
        scopes = self.cooldowns._scopes
        out = {
            of for of, all_ in scopes._states.items() if any(one.phase is not None for one in all_.values())
        }
        assert out <= self.cooldowns.gated

    @invariant()
    def someone_will_move_every_scope_on(self) -> None:
        due = self.cooldowns.wake_at()
        assert due is None or due > self.now

    def teardown(self) -> None:
        """No dead end: with time and successes everything closes, in bounded time, without any operator."""
        for attempt in list(self.open):
            self.open.remove(attempt)
            self.settle(attempt, failed(OutcomeClass.CANCELLED), ())
        self.chance.value = 0.0
        ends = [self.now, *(item.until for item in self.cooldowns.active(self.now))]
        ends += [told.until for told in self.cooldowns._seen.values()]
        # Four steps of the ramp; grace and jitter once in each of three phases; a second for whoever asks.
        longest = max(ends) + 4 * 30.0 + 3 * (10.0 + 30.0) + 10.0
        while self.cooldowns.active(self.now):
            assert self.now <= longest
            for one in self.targets:
                permit = self.cooldowns.admit(one, self.now)
                if isinstance(permit, Permit):
                    assert not told_of_failure(self.cooldowns.settle(permit, SUCCESS, (), self.now))
            self.now = self.cooldowns.wake_at() or self.now + 1.0
        assert self.cooldowns.outstanding == 0
        assert self.cooldowns.wake_at() is None

    # ------------------------------------------------------------------- details
    def take(self, data: st.DataObject) -> Attempt:
        attempt = data.draw(st.sampled_from(self.open))
        self.open.remove(attempt)
        return attempt

    def settle(self, attempt: Attempt, outcome: Outcome, scopes: tuple[Scope, ...]) -> tuple[Report, ...]:
        return self.keeping_deadlines(
            lambda: self.cooldowns.settle(attempt.permit, outcome, scopes, self.now)
        )

    def half_open(self, which: int) -> frozenset[tuple[Scope, int]]:
        """Return the half-open phases that cover a target."""
        self.cooldowns.advance(self.now)
        return frozenset(
            (state.scope, state.epoch)
            for state in self.cooldowns._scopes.covering(self.targets[which], self.now)
            if state.phase is CooldownPhase.HALF_OPEN
        )

    def scopes_in_use(self) -> set[Scope]:
        return {item.scope for item in self.cooldowns.active(self.now)}

    def keeping_deadlines(self, step: Callable[[], T]) -> T:
        """Take a step that is neither a document nor a recovery: no deadline moves earlier."""
        before = {
            item.scope: item.until
            for item in self.cooldowns.active(self.now)
            if item.phase is CooldownPhase.COOLING
        }
        result = step()
        after = {item.scope: item for item in self.cooldowns.active(self.now)}
        for scope, until in before.items():
            if until > self.now:
                assert after[scope].phase is CooldownPhase.COOLING
                assert after[scope].until >= until
        return result


def told_of_failure(reports: tuple[Report, ...]) -> bool:
    return any(isinstance(report, Failed | Tripped) for report in reports)


CooldownMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestCooldownMachine = CooldownMachine.TestCase
