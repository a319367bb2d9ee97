"""Turns are fair in the long run, whoever drops out and returns; a choice is always one of the candidates."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import FleetState
from cliproxy_sidecar.core.choice import Chosen, Wanted
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.dialect import Need
from cliproxy_sidecar.core.health import Health
from cliproxy_sidecar.core.outcome import SUCCESS
from cliproxy_sidecar.core.routing import RoutingTable, SmoothRoundRobin
from cliproxy_sidecar.core.selection import Chooser
from support.cooling import Scripted, failed, provider, target

weights = st.lists(st.integers(1, 20), min_size=1, max_size=6)


def robin(of: list[int]) -> SmoothRoundRobin:
    return SmoothRoundRobin(
        (target(provider(f"p{number}")), float(weight)) for number, weight in enumerate(of)
    )


@given(of=weights, rounds=st.integers(1, 300))
def test_at_every_moment_each_has_had_its_share(of: list[int], rounds: int) -> None:
    group = robin(of)
    had = Counter(group.pick(group.everyone) for _ in range(rounds))
    for position, weight in enumerate(of):
        assert abs(had[position] - rounds * weight / sum(of)) <= len(of)


@given(of=weights.filter(lambda of: len(of) > 1), data=st.data())
def test_who_drops_out_and_returns_gets_its_share_of_the_time_it_was_there(
    of: list[int], data: st.DataObject
) -> None:
    group = robin(of)
    due = dict.fromkeys(group.everyone, 0.0)
    had = Counter[int]()
    for _ in range(data.draw(st.integers(1, 6))):
        present = data.draw(st.lists(st.sampled_from(group.everyone), min_size=1, unique=True))
        for _ in range(data.draw(st.integers(1, 60))):
            had[group.pick(present)] += 1
            for position in present:
                due[position] += of[position] / sum(of[other] for other in present)
    for position in group.everyone:
        # Each change of the company may cost or bring a turn or so, never a debt that is paid back for long.
        assert abs(had[position] - due[position]) <= 2 * len(of)


names = st.sampled_from("abcd")


@st.composite
def configurations(draw: st.DrawFn) -> tuple[Provider, ...]:
    chosen = sorted(draw(st.sets(names, min_size=1)))
    return tuple(
        provider(
            name,
            priority=draw(st.integers(1, 3)),
            weight=draw(st.integers(0, 3)),
            credentials=(("k1", draw(st.integers(0, 2))), ("k2", draw(st.integers(0, 2)))),
        )
        for name in chosen
    )


@given(providers=configurations(), cooling=st.sets(names), unhealthy=st.sets(names), data=st.data())
@settings(max_examples=200)
def test_a_choice_is_the_best_there_is_and_nothing_that_could_be_is_passed_over(
    providers: tuple[Provider, ...], cooling: set[str], unhealthy: set[str], data: st.DataObject
) -> None:
    cooldowns = Cooldowns(sidecar="me", chance=Scripted())
    cooldowns.configure(providers, 0.0)
    health = Health(sidecar="me")
    health.configure(providers)
    health.adopt(FleetState(unhealthy=tuple(f"ns/{name}" for name in sorted(unhealthy))))
    every = [target(one, key=key) for one in providers for key in range(2)]
    for one in every:
        if one.provider.name in cooling:
            permit = cooldowns.force(one, 0.0)
            cooldowns.settle(permit, failed(hint_s=60.0), (Scope(provider=one.provider_id),), 0.0)
    tried = frozenset(data.draw(st.sets(st.sampled_from([one.id for one in every]))))
    usable = [
        one
        for one in every
        if one.id not in tried and one.provider.name not in cooling and one.provider.name not in unhealthy
    ]
    chooser = Chooser(RoutingTable(providers), cooldowns, health)
    wanted = Wanted("m", Need.CONVERSATION, tried)
    assert chooser.has_alternative(wanted, 1.0) == bool(usable)
    choice = chooser.choose(wanted, 1.0)
    if not isinstance(choice, Chosen):
        assert not usable
        assert len(choice.skipped) == len(every)
        assert (choice.least_bad is None) == all(one.id in tried for one in every)
        assert choice.least_bad is None or choice.least_bad.id not in tried
        return
    assert choice.target.id in {one.id for one in usable}
    best = min(one.provider.priority for one in usable)
    assert choice.target.provider.priority == best
    weighty = [
        one for one in usable if one.provider.priority == best and one.provider.weight * one.credential.weight
    ]
    assert not weighty or choice.target.id in {one.id for one in weighty}
    cooldowns.settle(choice.permit, SUCCESS, (), 1.0)
    assert cooldowns.outstanding == 0
