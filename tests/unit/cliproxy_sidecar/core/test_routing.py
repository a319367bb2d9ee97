from collections import Counter

import msgspec
import pytest

from cliproxy_api.snapshot import Model, Provider
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import Need
from cliproxy_sidecar.core.routing import PublicModel, RoutingTable, SmoothRoundRobin
from cliproxy_sidecar.core.target import TargetId
from support.cooling import provider, target

COMPLETIONS, COUNT = Need.COMPLETIONS, Need.COUNT


def table(*providers: Provider, previous: RoutingTable | None = None) -> RoutingTable:
    return RoutingTable(tuple(sorted(providers, key=lambda item: item.id)), previous=previous)


def group(*weights: float) -> SmoothRoundRobin:
    return SmoothRoundRobin((target(provider(f"p{number}")), weight) for number, weight in enumerate(weights))


def turns(robin: SmoothRoundRobin, count: int, candidates: list[int] | None = None) -> list[int]:
    return [robin.pick(robin.everyone if candidates is None else candidates) for _ in range(count)]


def ids(of: RoutingTable, model: str = "m", need: Need = COMPLETIONS) -> list[list[TargetId]]:
    return [[one.id for one in members.targets] for members in of.groups(need, model) or ()]


def shares(of: RoutingTable, rounds: int, model: str = "m") -> dict[TargetId, int]:
    (members,) = of.groups(COMPLETIONS, model) or ()
    return dict(Counter(members.targets[position].id for position in turns(members, rounds)))


# ---------------------------------------------------------------------------- turns
def test_turns_are_smooth() -> None:
    assert turns(group(5, 1, 1), 7) == [0, 0, 1, 0, 2, 0, 0]
    assert turns(group(1, 1), 4) == [0, 1, 0, 1]


def test_the_only_candidate_always_has_the_turn_and_owes_nobody() -> None:
    robin = group(1, 1)
    assert turns(robin, 5, [1]) == [1] * 5
    assert turns(robin, 4) == [0, 1, 0, 1]


def test_who_comes_back_gets_no_more_than_before() -> None:
    robin = group(1, 1, 1)
    turns(robin, 50, [0, 1])
    assert Counter(turns(robin, 30)) == {0: 10, 1: 10, 2: 10}


# ---------------------------------------------------------------------------- groups
def test_a_group_per_priority_the_preferred_first() -> None:
    routes = table(provider("a", priority=2), provider("b", priority=1), provider("c", priority=2))
    assert ids(routes) == [[("ns/b", "k", "up")], [("ns/a", "k", "up"), ("ns/c", "k", "up")]]


def test_weights_spread_over_credentials_and_upstream_models() -> None:
    routes = table(
        provider("a", weight=3, credentials=(("k1", 2), ("k2", 1))),
        provider("b", weight=1, models=(("m", "up1"), ("m", "up2"))),
    )
    assert shares(routes, 80) == {
        ("ns/a", "k1", "up"): 40,
        ("ns/a", "k2", "up"): 20,
        ("ns/b", "k", "up1"): 10,
        ("ns/b", "k", "up2"): 10,
    }


@pytest.mark.parametrize(
    "spare",
    [
        provider("b", weight=0),
        provider("b", credentials=(("k", 0),)),
    ],
)
def test_weight_0_stands_behind_the_others_of_its_priority(spare: Provider) -> None:
    routes = table(provider("a"), spare, provider("c", priority=2))
    assert ids(routes) == [[("ns/a", "k", "up")], [("ns/b", "k", "up")], [("ns/c", "k", "up")]]


def test_those_of_weight_0_share_evenly() -> None:
    routes = table(provider("a", weight=0, credentials=(("k1", 5), ("k2", 1))))
    assert shares(routes, 10) == {("ns/a", "k1", "up"): 5, ("ns/a", "k2", "up"): 5}


def test_a_need_has_its_own_routes() -> None:
    routes = table(provider("gpt"), provider("claude", type=ProviderType.ANTHROPIC))
    assert ids(routes) == [[("ns/gpt", "k", "up")]]
    assert ids(routes, need=COUNT) == [[("ns/claude", "k", "up")]]


def test_nobody_serves() -> None:
    routes = table(provider("gpt"))
    assert routes.groups(COUNT, "m") is None
    assert routes.groups(COMPLETIONS, "unknown") is None
    assert (routes.knows("m"), routes.knows("unknown")) == (True, False)
    assert table().groups(COMPLETIONS, "m") is None


def test_a_provider_without_credentials_serves_nobody() -> None:
    assert table(provider("a", credentials=())).groups(COMPLETIONS, "m") is None


def test_a_new_snapshot_goes_on_with_the_turns() -> None:
    providers = (provider("a"), provider("b"))
    first = table(*providers)
    assert ids(first) == [[("ns/a", "k", "up"), ("ns/b", "k", "up")]]
    (members,) = first.groups(COMPLETIONS, "m") or ()
    assert turns(members, 1) == [0]
    (again,) = table(*providers, provider("c"), previous=first).groups(COMPLETIONS, "m") or ()
    assert turns(again, 3) == [1, 2, 0]


def test_any_format_is_served_by_all_in_one_order_of_turns() -> None:
    routes = table(provider("a"), provider("b", type=ProviderType.ANTHROPIC), provider("c", priority=9))
    groups = routes.groups(Need.CONVERSATION, "m") or ()
    assert [[target.provider.name for target in group.targets] for group in groups] == [["a", "b"], ["c"]]


# ---------------------------------------------------------------------------- models
def test_the_list_of_models() -> None:
    routes = table(
        provider("a", priority=2, models=(("m", "up"), ("only-a", "up"))),
        provider("b", type=ProviderType.ANTHROPIC),
    )
    assert routes.models == (
        PublicModel(name="m", owner="b", context_window_tokens=None),
        PublicModel(name="only-a", owner="a", context_window_tokens=None),
    )


def test_the_smallest_known_window_is_safe_to_promise() -> None:
    def with_window(name: str, tokens: int | None) -> Provider:
        model = Model(name="m", upstream_name="up", context_window_tokens=tokens)
        return msgspec.structs.replace(provider(name), models=(model,))

    routes = table(with_window("a", 200_000), with_window("b", 128_000), with_window("c", None))
    assert routes.models[0].context_window_tokens == 128_000
