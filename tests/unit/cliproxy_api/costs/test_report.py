"""The report adds up what status tells and says how it came to each figure."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from cliproxy_api.costs.report import cost_report
from cliproxy_api.costs.spent import (
    ConsumerTotals,
    ModelSpent,
    ProviderSpent,
    consumers_spent,
    provider_spent,
)
from cliproxy_api.pricing import Buckets
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.llmprovider_status import CostStatus, DayCost, ModelCost
from cliproxy_api.resources.parse import parse_as
from cliproxy_api.resources.proxyprofile import ConsumerSpent
from cliproxy_api.snapshot import Pricing

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday; ten days are left with today
TODAY = NOON.date()
USD = 10**9
DEAR = Pricing(input=3 * USD, output=15 * USD, cached_input=USD // 2, cache_write=4 * USD)
CHEAP = Pricing(input=2 * USD, output=10 * USD, cached_input=USD // 2)


def model(name: str = "m", nano_usd: int = 0, **changes: Any) -> ModelSpent:
    told: dict[str, Any] = {"estimated_nano_usd": 0, "saved_nano_usd": 0, "requests": 1, "reused": 0}
    return ModelSpent(
        model=name, nano_usd=nano_usd, tokens=changes.pop("tokens", Buckets()), **(told | changes)
    )


def spent(
    name: str, *models: ModelSpent, days: dict[int, int] | None = None, **changes: Any
) -> ProviderSpent:
    """`days`: dollars by how many days ago."""
    told: dict[str, Any] = {
        "namespace": "team",
        "enabled": True,
        "prices": {"m": DEAR},
        "today": 0,
        "month": 0,
    }
    ago = {TODAY - timedelta(days=back): cost * USD for back, cost in (days or {}).items()}
    return ProviderSpent(name=name, models=models, days=ago, **(told | changes))


def report(*providers: ProviderSpent, consumers: tuple[ConsumerTotals, ...] = ()) -> dict[str, Any]:
    return cost_report(providers, consumers, NOON)


def test_all_figures_add_up_and_the_dearest_stand_first() -> None:
    a = spent("a", model(nano_usd=2 * USD), today=USD, month=3 * USD, days={1: 2})
    b = spent("b", model(nano_usd=9 * USD), today=0, month=9 * USD, days={1: 4, 2: 5})
    web = ConsumerTotals(id="team/gw/web", today=USD, week=2 * USD, month=3 * USD)

    told = report(a, b, consumers=(web,))

    assert (told["today_usd"], told["this_month_usd"]) == (1.0, 12.0)
    assert [(one["provider"], one["share"]) for one in told["by_provider"]] == [
        ("team/b", 0.75),
        ("team/a", 0.25),
    ]
    assert [(one["provider"], one["cost_usd"]) for one in told["by_model"]] == [
        ("team/b", 9.0),
        ("team/a", 2.0),
    ]
    assert told["by_day"] == [
        {"day": "2026-11-19", "cost_usd": 5.0},
        {"day": "2026-11-20", "cost_usd": 6.0},
        {"day": "2026-11-21", "cost_usd": 1.0},
    ]
    assert told["by_consumer"][0]["this_week_usd"] == 2.0


def test_the_month_is_projected_from_whole_days() -> None:
    told = report(spent("a", today=USD, month=13 * USD, days={1: 2, 2: 4, 3: 0, 4: 6}))["projected_month"]

    # before today 12; 12 in the four known whole days is 3 a day; ten days are left with today
    assert told["usd"] == 42.0
    assert told["arithmetic"] == (
        "$12.00 before today + $3.00 a day (mean of the last 4 whole days) x 10 days left with today"
    )


def test_nothing_is_projected_from_a_part_of_a_day() -> None:
    told = report(spent("a", today=USD, month=USD))

    assert told["projected_month"] == {"usd": None, "unknown_because": "no whole day is known yet"}
    assert told["trend"]["change"] is None
    assert told["trend"]["unknown_because"] == "two whole weeks are needed; 0 days are known"


def test_a_trend_compares_two_whole_weeks() -> None:
    week, before = dict.fromkeys(range(1, 8), 3), dict.fromkeys(range(8, 15), 2)

    assert report(spent("a", days=week | before))["trend"] == {
        "last_7_days_usd": 21.0,
        "previous_7_days_usd": 14.0,
        "change": 0.5,
    }
    assert report(spent("a", days=week))["trend"]["change"] is None
    silent = report(spent("a", days=week | {20: 1}))["trend"]
    assert silent["unknown_because"] == "nothing was spent in the seven days before"


def test_what_caches_saved_is_told_with_both_sides() -> None:
    tokens = Buckets(input=10, cached_input=2_000_000, cache_write=1_000_000)
    told = report(spent("a", model(tokens=tokens, reused=3, saved_nano_usd=USD // 4)))["cache"]

    # 2M x (3.00 - 0.50) less 1M x (4.00 - 3.00)
    assert told["prompt_cache"]["saved_usd"] == 4.0
    assert "2,000,000 tokens read for $5.00 less" in told["prompt_cache"]["arithmetic"]
    assert "1,000,000 written for $1.00 more" in told["prompt_cache"]["arithmetic"]
    assert (told["reused_answers"]["requests"], told["reused_answers"]["saved_usd"]) == (3, 0.25)


def test_the_same_tokens_elsewhere_are_recommended_with_the_sum() -> None:
    tokens = Buckets(input=1_000_000, output=200_000)
    dear = spent("a", model(nano_usd=6 * USD, tokens=tokens))
    cheap = spent("b", prices={"m": CHEAP})

    (one,) = [one for one in report(dear, cheap)["recommendations"] if one["kind"] == "cheaper_provider"]

    assert (one["provider"], one["saving_usd"]) == ("team/a", 2.0)
    assert (
        one["text"]
        == "m has cost $6.00 at team/a this month; the same tokens at team/b would have cost $4.00"
    )
    assert one["arithmetic"] == (
        "$6.00 paid - (1,000,000 fresh input x $2.00/M + 200,000 output x $10.00/M = $4.00) = $2.00"
    )


def test_who_cannot_be_used_or_is_hardly_cheaper_is_not_recommended() -> None:
    tokens = Buckets(input=1_000_000, output=200_000)
    dear = spent("a", model(nano_usd=6 * USD, tokens=tokens))
    elsewhere = spent("b", namespace="other", prices={"m": CHEAP})
    disabled = spent("c", enabled=False, prices={"m": CHEAP})
    without = spent("d", prices={"another": CHEAP, "m": None})
    nearly = spent("e", prices={"m": Pricing(input=3 * USD, output=14 * USD)})

    kinds = [one["kind"] for one in report(dear, elsewhere, disabled, without, nearly)["recommendations"]]

    assert "cheaper_provider" not in kinds


def test_little_use_of_a_prompt_cache_is_told_by_tenths() -> None:
    tokens = Buckets(input=9_000_000, cached_input=1_000_000)
    (one,) = report(spent("a", model(nano_usd=27 * USD, tokens=tokens)))["recommendations"]

    assert one["kind"] == "prompt_cache"
    assert one["saving_usd"] == 2.25  # 900,000 x (3.00 - 0.50)
    assert one["arithmetic"].startswith("9,000,000 fresh tokens / 10 x ($3.00/M - $0.50/M) = $2.25")


def test_what_is_not_counted_is_pointed_out() -> None:
    unpriced = spent("a", model(tokens=Buckets(input=5)), prices={"m": None})
    guessed = spent("b", model(nano_usd=USD, estimated_nano_usd=USD // 2, tokens=Buckets(output=9)))

    told = report(unpriced, guessed)["recommendations"]

    assert {one["kind"] for one in told} == {"unpriced", "estimated"}
    assert all(one["saving_usd"] is None for one in told)


def test_an_object_is_read_as_of_today() -> None:
    body = {
        "metadata": {"name": "a", "namespace": "team"},
        "spec": {
            "type": "openai",
            "credentials": [{"name": "k", "secretRef": {"name": "s", "key": "k"}}],
            "models": [{"name": "m", "pricing": {"input": "3", "output": "15"}}, {"name": "n"}],
        },
    }
    provider = parse_as(LLMProvider, body)
    assert isinstance(provider, LLMProvider)
    cost = CostStatus(
        day="2026-11-21",
        today="1.50",
        this_month="9.00",
        days=(
            DayCost(day="2026-11-20", cost="2.00"),
            DayCost(day="nonsense"),
            DayCost(day="2026-11-25", cost="1"),
        ),
        models=(ModelCost(model="m", cost="9.00", input_tokens=7, saved="x"),),
    )

    read = provider_spent("team", "a", provider.spec, cost, TODAY)

    assert (read.today, read.month, dict(read.days)) == (3 * USD // 2, 9 * USD, {date(2026, 11, 20): 2 * USD})
    assert (read.models[0].tokens.input, read.models[0].saved_nano_usd) == (7, 0)
    assert read.prices["n"] is None
    tomorrow = provider_spent("team", "a", provider.spec, cost, TODAY + timedelta(days=1))
    assert (tomorrow.today, tomorrow.month, tomorrow.days[TODAY]) == (0, 9 * USD, 3 * USD // 2)
    december = provider_spent("team", "a", provider.spec, cost, date(2026, 12, 1))
    assert (december.month, december.models) == (0, ())
    assert provider_spent("team", "a", provider.spec, None, TODAY).days == {}


def test_consumers_count_as_long_as_their_periods_last() -> None:
    told = (ConsumerSpent(name="web", day="2026-11-21", today="1", this_week="2", this_month="3"),)

    assert consumers_spent("t", "p", told, TODAY) == (
        ConsumerTotals(id="t/p/web", today=USD, week=2 * USD, month=3 * USD),
    )
    (monday,) = consumers_spent("t", "p", told, date(2026, 11, 23))
    assert (monday.today, monday.week, monday.month) == (0, 0, 3 * USD)
    assert consumers_spent("t", "p", (ConsumerSpent(name="web"),), TODAY) == ()
