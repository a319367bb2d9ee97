from collections import Counter
from datetime import UTC, datetime

import pytest

from cliproxy_api.snapshot import Profile, Provider
from cliproxy_api.vocabulary import Affinity, Strategy
from cliproxy_sidecar.core.affinity import key_of
from cliproxy_sidecar.core.allowances import Allowances
from cliproxy_sidecar.core.choice import Chosen, Wanted
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.decisions import How
from cliproxy_sidecar.core.dialect import Need
from cliproxy_sidecar.core.health import Health
from cliproxy_sidecar.core.outcome import SUCCESS
from cliproxy_sidecar.core.preference import Preferences
from cliproxy_sidecar.core.routing import RoutingTable
from cliproxy_sidecar.core.selection import Chooser
from cliproxy_sidecar.core.strategies.base import Facts
from cliproxy_sidecar.core.target import TargetId
from support.cooling import Scripted, provider

A, B = ("ns/a", "k", "up"), ("ns/b", "k", "up")


class World:
    def __init__(self, profile: Profile, *providers: Provider) -> None:
        self.chance = Scripted(0.5)
        providers = providers or (provider("a"), provider("b"))
        self.allowances = Allowances()
        self.cooldowns = Cooldowns(sidecar="me", chance=self.chance)
        self.cooldowns.configure(providers, 0.0)
        health = Health(sidecar="me")
        health.configure(providers)
        self.preferences = Preferences(profile, self.allowances, self.chance)
        self.chooser = Chooser(RoutingTable(providers), self.cooldowns, health, self.preferences)

    def told(self, of: TargetId, left: int) -> None:
        headers = [
            (b"x-ratelimit-limit-requests", b"100"),
            (b"x-ratelimit-remaining-requests", str(left).encode()),
        ]
        self.allowances.read(of, headers, 0.0, lambda: datetime(2026, 11, 21, tzinfo=UTC))

    def choose(self, facts: Facts | None = None) -> tuple[TargetId, How]:
        found = self.chooser.choose(Wanted("m", Need.CONVERSATION, facts=facts or Facts()), 1.0)
        assert isinstance(found, Chosen)
        assert found.how is not None
        self.cooldowns.settle(found.permit, SUCCESS, (), 1.0)
        return found.target.id, found.how


def test_plain_turns_look_at_nothing_until_a_limit_is_low() -> None:
    world = World(Profile())
    assert [world.choose()[0] for _ in range(4)] == [A, B, A, B]
    assert world.chance.draws == 0
    world.told(A, 2)
    chosen, how = world.choose()
    assert (chosen, how.resting, how.candidates) == (B, [A], [B])
    world.told(A, 60)
    assert {world.choose()[0] for _ in range(2)} == {A, B}


def test_a_low_target_still_serves_when_it_is_the_only_one_or_preferred_by_priority() -> None:
    world = World(Profile(), provider("a"), provider("b", priority=2))
    world.told(A, 0)
    chosen, how = world.choose()
    assert (chosen, how.by) == (A, "only")


def test_a_session_is_at_home_whatever_chance_draws() -> None:
    world = World(Profile(affinity=Affinity.SESSION))
    for number in range(20):
        facts = Facts(key=key_of(bytes([number])))
        homes = {world.choose(facts)[0] for _ in range(5)}
        assert len(homes) == 1
    assert world.choose(facts)[1].by == "affinity"
    # Whoever names no session takes turns.
    assert {world.choose()[0] for _ in range(2)} == {A, B}
    assert world.choose()[1].by == "turn"


def test_of_a_low_target_s_sessions_a_part_moves_and_each_as_a_whole() -> None:
    world = World(Profile(affinity=Affinity.SESSION))
    keys = [Facts(key=key_of(f"{number}".encode())) for number in range(400)]
    before = [world.choose(one)[0] for one in keys]
    world.told(A, 5)
    after = [world.choose(one)[0] for one in keys]
    assert after == [world.choose(one)[0] for one in keys]
    moved = Counter((old, new) for old, new in zip(before, after, strict=True))
    assert moved[B, A] == 0
    assert moved[A, B] / before.count(A) == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_no_strategy_overrides_priority(strategy: Strategy) -> None:
    world = World(Profile(strategy=strategy), provider("a", priority=2), provider("b"))
    world.told(B, 1)
    assert world.choose()[0] == B
