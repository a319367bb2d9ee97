"""Days and models in status: bounded, steady, and what a new leader begins with."""

from datetime import UTC, datetime, timedelta

from cliproxy_api.report import Used, UsedEntry
from cliproxy_api.resources.llmprovider_status import (
    MAX_DAYS,
    MAX_MODELS,
    CostStatus,
    DayCost,
    LLMProviderStatus,
    ModelCost,
)
from cliproxy_operator.money.history import earlier_days, models_status
from cliproxy_operator.money.shown import cost_status, restore_provider
from cliproxy_operator.money.totals import MAX_MODELS_TOLD, OTHER, Group, Totals
from cliproxy_operator.view import SidecarId

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ID = "team/alpha"
OWNER = ("provider", ID)
POD = SidecarId("team", "one")
GROUP = Group("gateway", frozenset({ID}))
USD = 10**9


def told(totals: Totals, *entries: UsedEntry, now: datetime = NOON, boot: str = "b") -> Totals:
    totals.hear(POD, GROUP, Used(boot=boot, age_s=1.0, entries=entries), now)
    return totals


def entry(
    model: str, nano_usd: int, *, day: str = "2026-11-21", requests: int = 1, **figures: int
) -> UsedEntry:
    return UsedEntry(
        day=day,
        provider=ID,
        model=model,
        requests=requests,
        tokens=sum(figures.values()),
        nano_usd=nano_usd,
        **figures,
    )


def test_yesterday_becomes_a_day_and_days_are_bounded() -> None:
    before = CostStatus(
        day="2026-11-20",
        today="1.00",
        days=tuple(
            DayCost(day=(NOON.date() - timedelta(days=back)).isoformat(), cost="1.00")
            for back in range(2, MAX_DAYS + 20)
        ),
    )
    totals = told(Totals(NOON), entry("m", 3 * USD, day="2026-11-20"))

    days = earlier_days(totals, OWNER, before, NOON)

    assert days[0] == DayCost(day="2026-11-20", cost="3.00")  # a late report is more than status knew
    assert len(days) == MAX_DAYS
    assert [one.day for one in days] == sorted((one.day for one in days), reverse=True)


def test_a_leader_that_begins_after_midnight_keeps_the_day_before() -> None:
    before = CostStatus(day="2026-11-20", today="1.25")

    assert earlier_days(Totals(NOON), OWNER, before, NOON) == (DayCost(day="2026-11-20", cost="1.25"),)


def test_days_without_costs_and_strange_words_take_no_room() -> None:
    before = CostStatus(
        day="2026-11-20", today="0.00", days=(DayCost(day="soon", cost="1"), DayCost(day="x"))
    )

    assert earlier_days(Totals(NOON), OWNER, before, NOON) == ()


def test_models_are_told_with_their_buckets_and_stand_still() -> None:
    totals = told(
        Totals(NOON),
        entry("m", 2 * USD, input=100, cached_input=20, cache_write=3, output=40, reasoning=5),
        UsedEntry(day="2026-11-21", provider=ID, model="m", consumer="", reused=2, saved_nano_usd=USD),
        boot="b",
    )
    (shown,) = models_status(told(totals), ID, None, NOON)
    # the second entry has the same key as the first: cumulative figures replace it, and only grow
    assert (shown.model, shown.cost, shown.input_tokens, shown.cached_input_tokens) == ("m", "2.00", 100, 20)
    assert (shown.cache_write_tokens, shown.output_tokens, shown.reasoning_tokens) == (3, 40, 5)
    assert (shown.reused, shown.saved) == (2, "1.00")

    status = CostStatus(day="2026-11-21", models=(shown,))
    told(totals, entry("m", 10_000_000, requests=0, input=1), boot="b2")
    assert models_status(totals, ID, status, NOON) == (shown,)
    told(totals, entry("m", USD, input=100), boot="b3")
    (moved,) = models_status(totals, ID, status, NOON)
    assert (moved.cost, moved.input_tokens, moved.requests) == ("3.01", 201, 2)


def test_the_dearest_models_are_kept_and_invented_names_are_bounded() -> None:
    entries = tuple(entry(f"m{number:03}", number * USD, input=1) for number in range(MAX_MODELS_TOLD + 9))
    totals = told(Totals(NOON), *entries)

    models = models_status(totals, ID, None, NOON)

    assert len(totals.models(ID, NOON)) == MAX_MODELS_TOLD + 1
    assert OTHER in totals.models(ID, NOON)
    assert len(models) == MAX_MODELS
    assert [one.model for one in models] == sorted(one.model for one in models)


def test_what_status_tells_of_models_is_what_a_new_leader_begins_with() -> None:
    old = told(Totals(NOON), entry("m", 2 * USD, input=1000, output=50))
    cost = cost_status(old, None, ID, None, NOON)
    assert cost is not None

    new = Totals(NOON)
    restore_provider(new, ID, None, LLMProviderStatus(cost=cost), NOON)
    assert models_status(new, ID, cost, NOON) == cost.models
    again = told(new, entry("m", 2 * USD, input=1000, output=50))
    assert models_status(again, ID, None, NOON)[0].input_tokens == 2000

    december = Totals(NOON)
    restore_provider(december, ID, None, LLMProviderStatus(cost=cost), NOON + timedelta(days=10))
    assert models_status(december, ID, cost, NOON + timedelta(days=10)) == ()


def test_a_model_without_a_price_is_shown_for_its_tokens() -> None:
    cost = cost_status(told(Totals(NOON), entry("free", 0, input=7)), None, ID, None, NOON)

    assert cost is not None
    assert cost.models == (ModelCost(model="free", cost="0.00", requests=1, input_tokens=7, output_tokens=0),)
