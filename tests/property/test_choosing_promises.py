"""What each strategy promises, on recorded-like traffic in virtual time; seeds are fixed, margins wide."""

import random

import msgspec
import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Pricing, Profile, Provider, RateLimit
from cliproxy_api.vocabulary import Affinity, Strategy
from cliproxy_sidecar.core.affinity import key_of
from cliproxy_sidecar.core.strategies.base import Facts
from support.choosing import Behaviour, Request, Sim, Tally, arrivals
from support.cooling import ALONE, failed, provider, target

SEEDS = (1, 2)
TURNS = Profile()
QUOTA = Profile(strategy=Strategy.QUOTA_AWARE)
LATENCY = Profile(strategy=Strategy.LATENCY, latency_window_s=60.0)
COST = Profile(strategy=Strategy.COST)


def sticky(profile: Profile) -> Profile:
    return msgspec.structs.replace(profile, affinity=Affinity.SESSION)


def priced(name: str, usd_in: float, usd_out: float, **changes: object) -> Provider:
    one = provider(name, **changes)  # type: ignore[arg-type]
    pricing = Pricing(
        input=int(usd_in * 1e9), output=int(usd_out * 1e9), cached_input=int(usd_in * 0.1 * 1e9)
    )
    models = tuple(msgspec.structs.replace(model, pricing=pricing) for model in one.models)
    return msgspec.structs.replace(one, models=models)


def play(
    profile: Profile,
    providers: list[Provider],
    behaviours: dict[str, Behaviour],
    traffic: list[Request],
    seed: int = 1,
) -> Tally:
    tally = Sim(providers, behaviours, profile, seed=seed).run(traffic)
    assert tally.answered + tally.unserved == len(traffic)
    return tally


def varying(ms: float) -> Behaviour:
    return Behaviour(latency_ms=lambda _now, chance: ms * chance.lognormvariate(0.0, 0.4))


# ------------------------------------------------------------------------- weights
def test_turns_keep_weights_exactly() -> None:
    providers = [provider("a", weight=5), provider("b", weight=3), provider("c", weight=2)]
    tally = play(TURNS, providers, {}, arrivals(per_second=20, seconds=300))
    for name, weight in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert tally.share(name) == pytest.approx(weight, abs=0.001)


@pytest.mark.parametrize("profile", [sticky(TURNS), QUOTA, COST, LATENCY], ids=lambda one: one.strategy.value)
def test_whatever_the_strategy_equals_share_by_weight(profile: Profile) -> None:
    providers = [provider("a", weight=5), provider("b", weight=3), provider("c", weight=2)]
    traffic = arrivals(per_second=20, seconds=300, sessions=2000)
    if profile.affinity is Affinity.NONE:
        traffic = arrivals(per_second=20, seconds=300)
    tally = play(profile, providers, {}, traffic)
    # Exploring gives every target a little; sessions are fewer than requests.
    for name, weight in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert tally.share(name) == pytest.approx(weight, abs=0.05)


# ------------------------------------------------------------------------- latency
@pytest.mark.parametrize("seed", SEEDS)
def test_latency_is_won_against_turns(seed: int) -> None:
    providers = [provider(name) for name in ("fast", "middle", "slow")]
    behaviours = {"fast": varying(400), "middle": varying(900), "slow": varying(2500)}
    traffic = arrivals(per_second=10, seconds=300, seed=seed)
    won = play(LATENCY, providers, behaviours, traffic, seed)
    turns = play(TURNS, providers, behaviours, traffic, seed)
    assert won.mean_ms < 0.5 * turns.mean_ms
    assert won.share("fast") > 0.85


@pytest.mark.parametrize("seed", SEEDS)
def test_latency_follows_when_the_fast_one_turns_slow(seed: int) -> None:
    def turning(before_ms: float, after_ms: float) -> Behaviour:
        return Behaviour(
            latency_ms=lambda now, chance: (
                (before_ms if now < 300 else after_ms) * chance.lognormvariate(0.0, 0.3)
            )
        )

    behaviours = {"a": turning(400, 2000), "b": turning(2000, 400)}
    providers = [provider("a"), provider("b")]
    tally = play(LATENCY, providers, behaviours, arrivals(per_second=10, seconds=900, seed=seed), seed)
    early = [name for at, name in tally.by_time if 60 < at < 300]
    late = [name for at, name in tally.by_time if at > 480]
    assert early.count("a") > 0.85 * len(early)
    assert late.count("b") > 0.85 * len(late)


def test_errors_make_a_fast_target_slow() -> None:
    providers = [provider("flaky"), provider("sound")]

    def often(_now: float, chance: random.Random) -> bool:
        return chance.random() < 0.6

    rules = msgspec.structs.replace(providers[0].cooldown, enabled=False)
    providers = [msgspec.structs.replace(one, cooldown=rules) for one in providers]
    behaviours = {
        "flaky": Behaviour(latency_ms=lambda _now, _chance: 500.0, fails=often),
        "sound": Behaviour(latency_ms=lambda _now, _chance: 700.0),
    }
    tally = play(LATENCY, providers, behaviours, arrivals(per_second=10, seconds=300))
    assert tally.share("sound") > 0.85


# ---------------------------------------------------------------------------- cost
@pytest.mark.parametrize("seed", SEEDS)
def test_cost_is_saved_against_turns(seed: int) -> None:
    providers = [priced("cheap", 0.15, 0.6), priced("middle", 0.5, 1.5), priced("dear", 2.5, 10.0)]
    traffic = arrivals(per_second=10, seconds=120, seed=seed)
    saved = play(COST, providers, {}, traffic, seed)
    turns = play(TURNS, providers, {}, traffic, seed)
    assert saved.cost_nano_usd < 0.25 * turns.cost_nano_usd
    assert saved.share("cheap") == 1.0


def test_cost_looks_at_the_request_not_at_the_list() -> None:
    """One is cheap to read, the other cheap to write: long prompts and long answers go different ways."""
    providers = [priced("reader", 0.1, 8.0), priced("writer", 2.0, 1.0)]
    traffic = arrivals(per_second=10, seconds=60, prompt_bytes=40_000)
    assert play(COST, providers, {}, traffic).share("reader") > 0.9
    traffic = arrivals(per_second=10, seconds=60, prompt_bytes=200)
    assert play(COST, providers, {}, traffic).share("writer") > 0.9


# ------------------------------------------------------------------------ affinity
@pytest.mark.parametrize("seed", SEEDS)
def test_cache_hits_are_kept_with_affinity(seed: int) -> None:
    providers = [priced(name, 3.0, 15.0) for name in "abcd"]
    traffic = arrivals(per_second=2, seconds=3600, seed=seed, sessions=600, prompt_bytes=40_000)
    kept = play(sticky(TURNS), providers, {}, traffic, seed)
    turns = play(TURNS, providers, {}, traffic, seed)
    assert kept.cache_hits > 0.85 * kept.answered
    assert kept.cache_hits > 1.15 * turns.cache_hits
    assert kept.cost_nano_usd < 0.75 * turns.cost_nano_usd


def test_sessions_leave_a_target_that_cools_and_come_back() -> None:
    behaviours = {"a": Behaviour(fails=lambda now, _chance: 100 < now < 130)}
    providers = [provider("a"), provider("b"), provider("c")]
    requests = [
        Request(number / 2, Facts(body_bytes=100, key=key_of(bytes([number % 40])))) for number in range(4000)
    ]
    tally = play(sticky(TURNS), providers, behaviours, requests)
    assert tally.unserved == 0
    early = [name for at, name in tally.by_time if at < 100]
    away = [name for at, name in tally.by_time if 135 < at < 200]
    late = [name for at, name in tally.by_time if at > 1500]
    assert 0.1 < early.count("a") / len(early) < 0.6
    assert away.count("a") == 0
    for name in "abc":
        assert late.count(name) / len(late) == pytest.approx(early.count(name) / len(early), abs=0.03)


# --------------------------------------------------------------------------- quota
ACCOUNTS = {"big": 600, "middle": 150, "small": 50}
"""Three accounts of very different size, of whose sum the traffic asks 80 %."""


def tight(profile: Profile, seed: int, *, heeds: bool = True) -> Tally:
    behaviours = {name: Behaviour(per_minute=limit) for name, limit in ACCOUNTS.items()}
    traffic = arrivals(per_second=0.8 * sum(ACCOUNTS.values()) / 60, seconds=600, seed=seed)
    sim = Sim([provider(name) for name in ACCOUNTS], behaviours, profile, seed=seed, heeds=heeds)
    return sim.run(traffic)


@pytest.mark.parametrize("seed", SEEDS)
def test_quota_aware_avoids_refusals(seed: int) -> None:
    aware, turns = tight(QUOTA, seed), tight(TURNS, seed, heeds=False)
    assert sum(turns.refusals.values()) >= 5  # each of them a cooldown and a slow way back
    assert sum(aware.refusals.values()) == 0
    assert aware.unserved == 0
    # The large account takes most, and none is left idle.
    assert aware.share("big") > 0.6
    assert aware.share("small") > 0.03


def test_turns_too_spare_a_target_that_is_low() -> None:
    heeding = sum(sum(tight(TURNS, seed).refusals.values()) for seed in SEEDS)
    deaf = sum(sum(tight(TURNS, seed, heeds=False).refusals.values()) for seed in SEEDS)
    assert heeding < 0.6 * deaf


def test_quota_aware_keeps_our_own_limits_in_proportion() -> None:
    """No headers at all: our own counts against rateLimit steer."""
    providers = [
        provider("big", rate_limit=RateLimit(requests_per_minute=900)),
        provider("small", rate_limit=RateLimit(requests_per_minute=300)),
    ]
    tally = play(QUOTA, providers, {}, arrivals(per_second=20, seconds=600))
    assert tally.share("big") == pytest.approx(0.75, abs=0.03)


# ------------------------------------------------------------------- the way back
@pytest.mark.parametrize("profile", [TURNS, COST, LATENCY, QUOTA], ids=lambda one: one.strategy.value)
def test_a_target_that_returns_is_ramped_up_however_much_it_is_preferred(profile: Profile) -> None:
    """It is the cheapest, the fastest and the fullest: yet after its cooldown it gets 10, 25, 50, 100 %."""
    providers = [priced("best", 0.1, 0.1, cooldown=ALONE), priced("rest", 5.0, 5.0, cooldown=ALONE)]
    behaviours = {
        "best": Behaviour(latency_ms=lambda _now, _chance: 100.0, per_minute=10**6),
        "rest": Behaviour(latency_ms=lambda _now, _chance: 900.0, per_minute=10**5),
    }
    sim = Sim(providers, behaviours, profile)
    cooled = target(providers[0])
    permit = sim.cooldowns.force(cooled, 0.0)
    sim.cooldowns.settle(permit, failed(hint_s=100.0), (Scope(provider=cooled.provider_id),), 0.0)
    tally = sim.run(arrivals(per_second=50, seconds=300))

    def share(start: float, end: float) -> float:
        names = [name for at, name in tally.by_time if start < at < end]
        return names.count("best") / len(names)

    normal = share(250, 300)
    assert normal > 0.45
    assert share(0, 100) == 0.0
    steps = [share(103 + 30 * step, 129 + 30 * step) for step in range(3)]
    for percent, step in zip((10, 25, 50), steps, strict=True):
        assert step <= percent / 100 + 0.05
    assert 0.0 < steps[0] < steps[1] < steps[2] < normal
