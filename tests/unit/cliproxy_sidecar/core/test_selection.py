import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import FleetState
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, ProviderType
from cliproxy_sidecar.core.choice import Chosen, Lack, NoTarget, SkipReason, Wanted
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.dialect import Need
from cliproxy_sidecar.core.health import Health
from cliproxy_sidecar.core.outcome import SUCCESS
from cliproxy_sidecar.core.routing import RoutingTable
from cliproxy_sidecar.core.selection import Chooser
from cliproxy_sidecar.core.target import TargetId
from support.cooling import Scripted, failed, provider, target

NOW = 100.0
A, B, C = (("ns/a", "k", "up"), ("ns/b", "k", "up"), ("ns/c", "k", "up"))


class World:
    """A snapshot and its machines."""

    def __init__(self, *providers: Provider) -> None:
        self.chance = Scripted()
        self.providers = providers or (provider("a"), provider("b"), provider("c", priority=2))
        self.cooldowns = Cooldowns(sidecar="me", chance=self.chance)
        self.cooldowns.configure(self.providers, 0.0)
        self.health = Health(sidecar="me")
        self.health.configure(self.providers)
        self.chooser = Chooser(RoutingTable(self.providers), self.cooldowns, self.health)

    def cool(
        self, name: str, cls: OutcomeClass = OutcomeClass.RATE_LIMITED, hint_s: float | None = 10.0
    ) -> None:
        one = target(next(item for item in self.providers if item.name == name))
        scope = Scope(provider=one.provider_id)
        self.cooldowns.settle(self.cooldowns.force(one, NOW), failed(cls, hint_s=hint_s), (scope,), NOW)

    def sicken(self, *names: str) -> None:
        self.health.adopt(FleetState(unhealthy=tuple(f"ns/{name}" for name in names)))

    def choose(self, *exclude: TargetId, now: float = NOW, model: str = "m") -> Chosen | NoTarget:
        return self.chooser.choose(Wanted(model, Need.COMPLETIONS, frozenset(exclude)), now)

    def chosen(self, *exclude: TargetId, now: float = NOW) -> TargetId:
        choice = self.choose(*exclude, now=now)
        assert isinstance(choice, Chosen), choice
        self.cooldowns.settle(choice.permit, SUCCESS, (), now)
        return choice.target.id

    def nobody(self, *exclude: TargetId, now: float = NOW) -> NoTarget:
        choice = self.choose(*exclude, now=now)
        assert isinstance(choice, NoTarget), choice
        return choice

    def least_bad(self, *exclude: TargetId) -> TargetId | None:
        least_bad = self.nobody(*exclude).least_bad
        return least_bad.id if least_bad is not None else None


def test_the_preferred_group_takes_turns() -> None:
    world = World()
    assert [world.chosen() for _ in range(4)] == [A, B, A, B]
    assert world.cooldowns.outstanding == 0


def test_a_failover_passes_over_what_was_tried() -> None:
    world = World()
    assert world.chosen(A) == B
    assert world.chosen(A, B) == C


def test_who_cools_is_passed_over_and_named() -> None:
    world = World()
    world.cool("a")
    choice = world.choose()
    assert isinstance(choice, Chosen)
    assert choice.target.id == B
    (skipped,) = choice.skipped
    assert (skipped.target.id, skipped.why) == (A, SkipReason.COOLING)
    assert skipped.blocked is not None
    assert skipped.blocked.until == NOW + 10.0


def test_the_next_group_serves_while_the_preferred_cools() -> None:
    world = World()
    world.cool("a")
    world.cool("b")
    assert world.chosen() == C
    assert world.chosen(now=NOW + 10.0) == A


def test_who_is_unhealthy_is_passed_over() -> None:
    world = World()
    world.sicken("a")
    assert [world.chosen() for _ in range(2)] == [B, B]
    world.sicken("a", "b")
    assert world.chosen() == C


def test_a_trial_goes_to_one_request_the_others_pass_by() -> None:
    world = World(provider("a"), provider("b", priority=2))
    world.cool("a")
    trial = world.choose(now=NOW + 10.0)
    assert isinstance(trial, Chosen)
    assert (trial.target.id, bool(trial.permit.trials)) == (A, True)
    assert world.chosen(now=NOW + 10.0) == B


def test_beyond_its_share_a_ramping_target_is_passed_over() -> None:
    world = World(provider("a"), provider("b", priority=2))
    world.cool("a")
    assert world.chosen(now=NOW + 10.0) == A
    world.chance.value = 0.5
    choice = world.choose(now=NOW + 11.0)
    assert isinstance(choice, Chosen)
    assert choice.target.id == B
    assert choice.skipped[0].blocked is not None
    assert choice.skipped[0].blocked.phase is CooldownPhase.RAMP
    world.chance.value = 0.05
    assert world.chosen(now=NOW + 11.0) == A


def test_beyond_its_share_the_other_of_the_group_takes_the_turn() -> None:
    world = World(provider("a"), provider("b"))
    world.cool("a")
    assert world.chosen(B, now=NOW + 10.0) == A
    world.chance.value = 0.5
    assert {world.chosen(now=NOW + 11.0) for _ in range(4)} == {B}


# ------------------------------------------------------------------------- no target
def test_an_unknown_model() -> None:
    assert World().choose(model="x") == NoTarget(Lack.UNKNOWN_MODEL)


def test_a_model_of_the_other_format() -> None:
    assert World(provider("a", type=ProviderType.ANTHROPIC)).choose() == NoTarget(Lack.OTHER_FORMAT)


def test_all_tried() -> None:
    nobody = World(provider("a")).nobody(A)
    assert (nobody.reason, nobody.until, nobody.least_bad) == (Lack.EXHAUSTED, None, None)
    assert [skipped.why for skipped in nobody.skipped] == [SkipReason.TRIED]


def test_all_cooling_names_the_soonest_return() -> None:
    world = World(provider("a"), provider("b"), provider("c", priority=2))
    for name, hint_s in (("a", 30.0), ("b", 20.0), ("c", 40.0)):
        world.cool(name, hint_s=hint_s)
    nobody = world.nobody()
    assert (nobody.reason, nobody.until) == (Lack.ALL_COOLING, NOW + 20.0)
    assert world.least_bad() == B
    assert len(nobody.skipped) == 3
    # Tried before and cooling since: not again.
    assert world.least_bad(B) == A


def test_all_unhealthy() -> None:
    world = World(provider("a"), provider("b"))
    world.sicken("a", "b")
    nobody = world.nobody()
    assert (nobody.reason, nobody.until) == (Lack.ALL_UNHEALTHY, None)
    assert world.least_bad() == A


def test_what_is_unhealthy_and_cools_comes_back_later() -> None:
    world = World(provider("a"))
    world.cool("a")
    world.sicken("a")
    nobody = world.nobody()
    assert (nobody.reason, nobody.until) == (Lack.ALL_UNHEALTHY, NOW + 10.0)


def test_the_soonest_return_is_that_of_a_healthy_one() -> None:
    world = World(provider("a"), provider("b"))
    world.cool("a", hint_s=5.0)
    world.cool("b", hint_s=50.0)
    world.sicken("a")
    assert (world.nobody().reason, world.nobody().until) == (Lack.ALL_COOLING, NOW + 50.0)


@pytest.mark.parametrize(
    ("first", "second", "unhealthy", "least_bad"),
    [
        # The sooner of two that may work.
        ((OutcomeClass.RATE_LIMITED, 60.0), (OutcomeClass.RATE_LIMITED, 50.0), (), B),
        # Never one whose key or account is at fault, though it is back sooner.
        ((OutcomeClass.AUTH, None), (OutcomeClass.RATE_LIMITED, 9000.0), (), B),
        ((OutcomeClass.QUOTA_MONEY, None), (OutcomeClass.RATE_LIMITED, 9000.0), (), B),
        ((OutcomeClass.CONFIG, None), (OutcomeClass.RATE_LIMITED, 9000.0), (), B),
        # Unless there is nothing else.
        ((OutcomeClass.AUTH, None), (OutcomeClass.CONFIG, None), (), B),
        # Never an unhealthy one if a healthy one is there.
        ((OutcomeClass.RATE_LIMITED, 60.0), (OutcomeClass.RATE_LIMITED, 9000.0), ("a",), B),
        # A healthy one that surely fails is worse than an unhealthy one that may answer.
        ((OutcomeClass.RATE_LIMITED, 60.0), (OutcomeClass.AUTH, None), ("a",), A),
    ],
)
def test_the_least_bad(
    first: tuple[OutcomeClass, float | None],
    second: tuple[OutcomeClass, float | None],
    unhealthy: tuple[str, ...],
    least_bad: TargetId,
) -> None:
    world = World(provider("a"), provider("b"))
    world.cool("a", *first)
    world.cool("b", *second)
    world.sicken(*unhealthy)
    assert world.least_bad() == least_bad


def test_what_a_person_took_out_is_worse_than_what_may_work_better_than_what_cannot() -> None:
    world = World(provider("a"), provider("b"))
    world.cooldowns.cooldown("ns/a", 10.0, "manual", NOW)
    world.cool("b", hint_s=500.0)
    assert world.least_bad() == B
    world.cool("b", OutcomeClass.AUTH, None)
    assert world.least_bad() == A


# ---------------------------------------------------------------------- alternatives
def test_whether_there_is_an_alternative_takes_nothing() -> None:
    world = World(provider("a"), provider("b"))
    wanted = Wanted("m", Need.COMPLETIONS, frozenset({A}))
    assert world.chooser.has_alternative(wanted, NOW)
    world.cool("b")
    assert not world.chooser.has_alternative(wanted, NOW)
    assert world.chooser.has_alternative(wanted, NOW + 10.0)
    assert world.chooser.has_alternative(wanted, NOW + 10.0), "the trial is still to be had"
    assert not world.chooser.has_alternative(Wanted("x", Need.COMPLETIONS), NOW)
    assert world.cooldowns.outstanding == 0
