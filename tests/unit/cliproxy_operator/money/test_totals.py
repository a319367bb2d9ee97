"""Sums of reports: repeated, late, of other lives and other leaders."""

from datetime import UTC, datetime, timedelta

from cliproxy_api.report import Used, UsedEntry
from cliproxy_api.vocabulary import QuotaReset
from cliproxy_operator.money.figures import Figures
from cliproxy_operator.money.totals import MAX_KEYS, MAX_TOLD, OTHER, Group, Owner, Totals
from cliproxy_operator.view import SidecarId

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)  # a Saturday
ONE, TWO = SidecarId("team", "one"), SidecarId("team", "two")
GROUP = Group("gateway", frozenset({"team/alpha"}), frozenset({"web"}))
ALPHA: Owner = ("provider", "team/alpha")
WEB: Owner = ("consumer", "team/gateway/web")


def used(
    nano_usd: int,
    *,
    boot: str = "b1",
    age_s: float = 10.0,
    standing: bool = False,
    day: str = "2026-11-21",
    model: str = "gpt-4o",
) -> Used:
    entry = UsedEntry(
        day=day,
        provider="team/alpha",
        model=model,
        consumer="web",
        requests=nano_usd,
        tokens=10 * nano_usd,
        nano_usd=nano_usd,
    )
    return Used(boot=boot, age_s=age_s, standing=standing, entries=(entry,))


def leader() -> Totals:
    """Return one that has been leading for an hour."""
    return Totals(NOON - timedelta(hours=1))


def spent(totals: Totals, owner: Owner, reset: QuotaReset = QuotaReset.DAILY, at: datetime = NOON) -> int:
    return totals.used(owner, reset, at).nano_usd


def test_cumulative_reports_add_up_once_per_sidecar() -> None:
    totals = leader()
    assert totals.hear(ONE, GROUP, used(5), NOON) == {ALPHA, WEB}
    assert totals.hear(ONE, GROUP, used(5), NOON) == frozenset()
    totals.hear(ONE, GROUP, used(7), NOON)
    totals.hear(TWO, GROUP, used(100), NOON)
    totals.hear(ONE, GROUP, used(6), NOON)  # late: less than is known
    for owner in (ALPHA, WEB):
        for reset in QuotaReset:
            assert totals.used(owner, reset, NOON) == Figures(107, 1070, 107, 0)


def test_another_life_of_a_sidecar_begins_at_nothing() -> None:
    totals = leader()
    totals.hear(ONE, GROUP, used(5), NOON)
    totals.hear(ONE, GROUP, used(3, boot="b2"), NOON)
    assert spent(totals, ALPHA) == 8


def test_days_go_into_their_weeks_and_months() -> None:
    totals = leader()
    totals.hear(ONE, GROUP, used(5, day="2026-11-20"), NOON)
    totals.hear(ONE, GROUP, used(2), NOON)
    assert spent(totals, ALPHA) == 2
    assert spent(totals, ALPHA, QuotaReset.WEEKLY) == 7
    assert spent(totals, ALPHA, QuotaReset.MONTHLY) == 7
    monday, december = NOON + timedelta(days=2), NOON + timedelta(days=11)
    assert spent(totals, ALPHA, QuotaReset.WEEKLY, monday) == 0
    assert spent(totals, ALPHA, QuotaReset.MONTHLY, monday) == 7
    assert spent(totals, ALPHA, QuotaReset.MONTHLY, december) == 0


def test_days_that_are_not_near_are_an_error_not_news() -> None:
    totals = leader()
    for day in ("2026-11-19", "2026-12-21", "yesterday", ""):
        assert totals.hear(ONE, GROUP, used(5, day=day), NOON) == frozenset()
    assert spent(totals, ALPHA) == 0


def test_a_new_leader_counts_what_older_sidecars_had_used_once() -> None:
    totals = Totals(NOON)
    totals.restore(ALPHA, QuotaReset.DAILY, Figures(nano_usd=90), NOON)
    old = {"age_s": 3600.0, "standing": True}
    totals.hear(ONE, GROUP, used(40, **old), NOON)  # type: ignore[arg-type]
    totals.hear(TWO, GROUP, used(40, **old), NOON)  # type: ignore[arg-type]
    totals.hear(TWO, GROUP, used(20, model="other", **old), NOON)  # type: ignore[arg-type]
    assert spent(totals, ALPHA) == 100  # status was behind by 10
    totals.hear(ONE, GROUP, used(45, age_s=3601.0), NOON)
    assert spent(totals, ALPHA) == 105
    totals.hear(SidecarId("team", "young"), GROUP, used(7, age_s=0.0, standing=True), NOON)
    assert spent(totals, ALPHA) == 112


def test_what_gone_sidecars_had_used_stays_restored() -> None:
    totals = Totals(NOON)
    totals.restore(ALPHA, QuotaReset.DAILY, Figures(nano_usd=90), NOON)
    totals.hear(ONE, GROUP, used(40, age_s=3600.0, standing=True), NOON)
    totals.hear(ONE, GROUP, used(41, age_s=3601.0), NOON)
    assert spent(totals, ALPHA) == 91
    totals.forget(ONE)
    assert spent(totals, ALPHA) == 91


def test_sharers_are_those_who_used_something_lately() -> None:
    totals = leader()
    totals.hear(ONE, GROUP, used(5), NOON)
    totals.hear(TWO, GROUP, used(5), NOON + timedelta(seconds=50))
    assert totals.sharers(ALPHA, NOON + timedelta(seconds=50), within_s=60) == 2
    assert totals.sharers(ALPHA, NOON + timedelta(seconds=70), within_s=60) == 1
    totals.forget(TWO)
    assert totals.sharers(ALPHA, NOON + timedelta(seconds=70), within_s=60) == 0


def test_details_are_bounded_and_pass_with_their_day() -> None:
    totals = leader()
    for number in range(MAX_KEYS + 3):
        pod = SidecarId("team", f"pod-{number // MAX_TOLD}")
        totals.hear(pod, GROUP, used(1, model=f"m{number}"), NOON)
    details = totals.details("2026-11-21")
    assert len(details) == MAX_KEYS + 1
    assert details[OTHER, OTHER, OTHER].requests == 3
    later = NOON + timedelta(days=3)
    totals.hear(ONE, GROUP, used(1, day="2026-11-24"), later)
    assert totals.details("2026-11-21") == {}
    assert totals.details("2026-11")[OTHER, OTHER, OTHER].requests == 4


def test_nobody_uses_up_what_is_not_its_own() -> None:
    totals = leader()
    assert totals.hear(ONE, Group("gateway", frozenset({"team/beta"})), used(5), NOON) == frozenset()
    stranger = Group("gateway", frozenset({"team/alpha"}), frozenset({"batch"}))
    assert totals.hear(ONE, stranger, used(5), NOON) == {ALPHA}
    assert spent(totals, WEB) == 0
    assert totals.details("2026-11-21").keys() == {("team/alpha", "gpt-4o", "")}


def test_one_sidecar_cannot_fill_the_memory() -> None:
    totals = leader()
    for number in range(MAX_TOLD + 10):
        totals.hear(ONE, GROUP, used(1, model=f"m{number}"), NOON)
    assert spent(totals, ALPHA) == MAX_TOLD
