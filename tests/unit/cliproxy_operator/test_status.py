"""Status of all kinds: phases, conditions, bounds, and what stays as it was. Whole statuses: tests/golden."""

import dataclasses
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.conditions import ConditionType, find_condition, is_true
from cliproxy_api.report import ProviderTraffic
from cliproxy_api.resources.alertrule import AlertRuleStatus
from cliproxy_api.resources.common import Condition, to_wire
from cliproxy_api.resources.llmprovider_status import CostStatus, LLMProviderStatus, QuotaStatus
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import Evidence, FleetCooldown
from cliproxy_api.vocabulary import AlertState, ConditionStatus, CooldownPhase, OutcomeClass, ProviderPhase
from cliproxy_operator.status.alertrule import merge_alertrule_status
from cliproxy_operator.status.common import accepted_fact
from cliproxy_operator.status.cooldowns import outage, sentence
from cliproxy_operator.status.others import merge_policy_status, merge_profile_status
from cliproxy_operator.status.phase import SILENCE
from cliproxy_operator.status.provider import merge_provider_status
from cliproxy_operator.validate import Diagnostic, Severity
from cliproxy_operator.view import (
    HealthView,
    InjectionView,
    Lagging,
    PolicyView,
    ProfileView,
    ProviderView,
    SidecarId,
    SidecarsView,
)
from support.cooling import provider
from support.fleets import BEGIN, KEY, WHOLE

SYNCED = SidecarsView(total=2, ready=2, synced=2, ready_synced=2)
PROVIDER = provider(credentials=[("k", 1), ("l", 1)], models=[("m", "up"), ("n", "down")])
ERROR = Diagnostic(Severity.ERROR, "Invalid", "spec.models", "must not be empty")
WARNING = Diagnostic(Severity.WARNING, "SecretNotFound", "spec.credentials[1].secretRef", "create it")


def seen(of: Provider | None = PROVIDER, **changes: object) -> ProviderView:
    return ProviderView(**{"provider": of, "sidecars": SYNCED, "reported": True, **changes})


def cooling(
    scope: Scope = KEY,
    phase: CooldownPhase = CooldownPhase.COOLING,
    *,
    until_s: float = 60,
    cls: OutcomeClass | None = OutcomeClass.RATE_LIMITED,
    **changes: object,
) -> FleetCooldown:
    plain = FleetCooldown(
        scope=scope,
        phase=phase,
        outcome_class=cls,
        since_utc=BEGIN,
        until_utc=BEGIN + timedelta(seconds=until_s),
    )
    return msgspec.structs.replace(plain, **changes)


def merged(
    view: ProviderView,
    previous: LLMProviderStatus | None = None,
    *,
    diagnostics: tuple[Diagnostic, ...] = (),
    enabled: bool = True,
    passed_s: float = 0,
    generation: int = 1,
) -> LLMProviderStatus:
    return merge_provider_status(
        previous,
        generation=generation,
        enabled=enabled,
        diagnostics=diagnostics,
        view=view,
        now_utc=BEGIN + timedelta(seconds=passed_s),
    )


def condition(status: LLMProviderStatus, kind: ConditionType) -> Condition:
    found = find_condition(status.conditions, kind)
    assert found is not None
    return found


class TestPhase:
    @pytest.mark.parametrize(
        ("view", "phase", "reason"),
        [
            (seen(), ProviderPhase.HEALTHY, None),
            (seen(health=HealthView(healthy=False)), ProviderPhase.UNHEALTHY, "ProbeFailed"),
            (seen(cooldowns=(cooling(WHOLE),)), ProviderPhase.COOLING_DOWN, "RateLimited"),
            (seen(cooldowns=(cooling(WHOLE, cls=None),)), ProviderPhase.COOLING_DOWN, "Manual"),
            (
                seen(cooldowns=(cooling(WHOLE, CooldownPhase.HALF_OPEN),)),
                ProviderPhase.COOLING_DOWN,
                "RateLimited",
            ),
            (seen(cooldowns=(cooling(),)), ProviderPhase.DEGRADED, "RateLimited"),
            (seen(cooldowns=(cooling(WHOLE, CooldownPhase.RAMP),)), ProviderPhase.DEGRADED, "Recovering"),
            (seen(local_cooldowns=(cooling(WHOLE),)), ProviderPhase.DEGRADED, "RateLimited"),
            (seen(sidecars=SidecarsView(), reported=False), ProviderPhase.UNKNOWN, "NoSidecars"),
            (seen(reported=False), ProviderPhase.UNKNOWN, "NotConnected"),
            (
                seen(health=HealthView(healthy=True, consecutive_failures=1)),
                ProviderPhase.DEGRADED,
                "ProbeFailed",
            ),
            (
                seen(health=HealthView(healthy=True, consecutive_failures=1, last_success_utc=BEGIN)),
                ProviderPhase.HEALTHY,
                None,
            ),
            (seen(traffic=ProviderTraffic(requests=9, errors=9)), ProviderPhase.HEALTHY, None),
            (seen(traffic=ProviderTraffic(requests=100, errors=26)), ProviderPhase.DEGRADED, "ErrorRate"),
            (seen(traffic=ProviderTraffic(requests=100, errors=25)), ProviderPhase.HEALTHY, None),
        ],
    )
    def test_the_worst_true_thing(self, view: ProviderView, phase: ProviderPhase, reason: str | None) -> None:
        status = merged(view)
        assert (status.phase, status.reason) == (phase, reason)

    def test_disabled_and_misconfigured_come_first(self) -> None:
        view = seen(cooldowns=(cooling(WHOLE),), health=HealthView(healthy=False))
        assert merged(view, enabled=False).phase is ProviderPhase.DISABLED
        assert merged(view, diagnostics=(WARNING, ERROR)).reason == "Invalid"
        assert merged(seen(), diagnostics=(WARNING,)).reason == "SecretNotFound"

    def test_parts_that_together_are_all_there_is(self) -> None:
        by_key = [cooling(Scope(provider="ns/p", credential=name)) for name in "kl"]
        assert merged(seen(cooldowns=(by_key[0],))).phase is ProviderPhase.DEGRADED
        assert merged(seen(cooldowns=tuple(by_key))).phase is ProviderPhase.COOLING_DOWN

    @given(
        out=st.lists(
            st.builds(
                Scope,
                provider=st.just("ns/p"),
                credential=st.sampled_from([None, "k", "l"]),
                model=st.sampled_from([None, "up", "down"]),
            ),
            max_size=5,
        )
    )
    def test_it_cools_when_every_target_is_covered(self, out: list[Scope]) -> None:
        covered = all(
            any(scope.covers(provider="ns/p", credential=name, model=model) for scope in out)
            for name in "kl"
            for model in ("up", "down")
        )
        status = merged(seen(cooldowns=tuple(cooling(scope) for scope in out)))
        assert (status.phase is ProviderPhase.COOLING_DOWN) is covered

    def test_a_provider_without_keys_is_out_when_its_models_are(self) -> None:
        keyless = provider(credentials=[])
        out = cooling(Scope(provider="ns/p", model="up"))
        assert merged(seen(keyless, cooldowns=(out,))).phase is ProviderPhase.COOLING_DOWN

    def test_a_provider_in_no_snapshot_cannot_be_out(self) -> None:
        assert not outage(seen(None, cooldowns=(cooling(WHOLE),))).out_everywhere

    def test_an_error_rate_does_not_flap(self) -> None:
        status = merged(seen(traffic=ProviderTraffic(requests=100, errors=30)))
        status = merged(seen(traffic=ProviderTraffic(requests=100, errors=11)), status)
        assert status.reason == "ErrorRate"
        status = merged(seen(traffic=ProviderTraffic(requests=100, errors=10)), status)
        assert status.phase is ProviderPhase.HEALTHY

    def test_a_new_leader_keeps_the_phase_until_sidecars_have_been_silent_for_long(self) -> None:
        healthy = merged(seen())
        silent = seen(reported=False, sidecars=SidecarsView(total=2, ready=2))
        status = merged(silent, healthy, passed_s=1)
        assert status.phase is ProviderPhase.HEALTHY
        later = SILENCE.total_seconds()
        assert merged(silent, status, passed_s=1 + later).phase is ProviderPhase.HEALTHY
        unknown = merged(silent, status, passed_s=2 + later)
        assert (unknown.phase, unknown.reason) == (ProviderPhase.UNKNOWN, "NotConnected")
        assert merged(silent, unknown, passed_s=3 + later) == unknown

    @pytest.mark.parametrize("phase", [ProviderPhase.COOLING_DOWN, ProviderPhase.UNHEALTHY, None])
    def test_an_old_phase_that_nothing_upholds_is_not_kept(self, phase: ProviderPhase | None) -> None:
        old = msgspec.structs.replace(merged(seen()), phase=phase)
        assert merged(seen(reported=False), old).phase is ProviderPhase.UNKNOWN
        bare = LLMProviderStatus(phase=ProviderPhase.HEALTHY)
        assert merged(seen(reported=False), bare).phase is ProviderPhase.UNKNOWN


class TestNewLeader:
    """What status says of sidecars stands until a new leader has heard them."""

    AWAITED = ProviderView(provider=PROVIDER, sidecars=SidecarsView(total=2, ready=2), awaited=True)

    def test_all_stands(self) -> None:
        traffic = ProviderTraffic(requests=100, errors=30)
        before = merged(seen(traffic=traffic))
        assert (before.phase, before.reason) == (ProviderPhase.DEGRADED, "ErrorRate")
        assert merged(self.AWAITED, before, passed_s=9) == before
        some = dataclasses.replace(self.AWAITED, reported=True, traffic=ProviderTraffic(requests=50))
        assert merged(some, before, passed_s=9) == before

    def test_so_does_that_one_lags_behind(self) -> None:
        before = merged(seen(sidecars=SidecarsView(total=3, ready=3, synced=2, ready_synced=2)))
        after = merged(self.AWAITED, before, passed_s=9)
        assert after == before
        assert condition(after, ConditionType.SYNCED).status is ConditionStatus.FALSE

    def test_a_cooldown_does_not_wait(self) -> None:
        after = merged(dataclasses.replace(self.AWAITED, cooldowns=(cooling(WHOLE),)), merged(seen()))
        assert after.phase is ProviderPhase.COOLING_DOWN
        assert after.in_cooldown

    def test_nor_does_its_end(self) -> None:
        before = merged(seen(cooldowns=(cooling(WHOLE),)))
        after = merged(self.AWAITED, before)
        assert (after.phase, after.in_cooldown) == (ProviderPhase.HEALTHY, False)
        ramp = cooling(phase=CooldownPhase.RAMP, share_percent=10)
        after = merged(dataclasses.replace(self.AWAITED, cooldowns=(ramp,)), before)
        assert (after.phase, after.reason) == (ProviderPhase.DEGRADED, "Recovering")

    def test_of_what_is_new_nothing_is_known(self) -> None:
        assert merged(self.AWAITED).phase is ProviderPhase.UNKNOWN
        newer = merged(self.AWAITED, merged(seen()), generation=2)
        assert condition(newer, ConditionType.SYNCED).status is ConditionStatus.FALSE
        assert newer.sidecars is not None
        assert newer.sidecars.summary == "0/2"

    def test_what_has_become_valid_or_invalid_is_said_at_once(self) -> None:
        refused = merged(self.AWAITED, merged(seen()), diagnostics=(ERROR,))
        assert condition(refused, ConditionType.READY).status is ConditionStatus.FALSE
        mended = merged(self.AWAITED, refused)
        assert condition(mended, ConditionType.READY).reason == "Pending"

    def test_a_profile(self) -> None:
        whole = ProfileView(SYNCED, injection=InjectionView(current=2))
        before = merge_profile_status(None, generation=1, diagnostics=(), view=whole, now_utc=BEGIN)
        view = ProfileView(SidecarsView(total=2, ready=2), awaited=True, surveyed=False)
        after = merge_profile_status(before, generation=1, diagnostics=(), view=view, now_utc=BEGIN)
        assert after == before
        assert (
            merge_profile_status(before, generation=2, diagnostics=(), view=view, now_utc=BEGIN).sidecars
            == merge_profile_status(
                None, generation=2, diagnostics=(), view=ProfileView(view.sidecars), now_utc=BEGIN
            ).sidecars
        )


class TestConditions:
    def test_a_healthy_provider(self) -> None:
        status = merged(seen(health=HealthView(healthy=True, last_check_utc=BEGIN)))
        kinds = [ConditionType(entry.type) for entry in status.conditions]
        assert [kind.value for kind in kinds] == ["Accepted", "Synced", "Healthy", "Available", "Ready"]
        assert all(is_true(status.conditions, kind) for kind in kinds)

    def test_cooling_leaves_ready_alone(self) -> None:
        status = merged(seen(cooldowns=(cooling(WHOLE),)))
        assert is_true(status.conditions, ConditionType.READY)
        available = condition(status, ConditionType.AVAILABLE)
        assert (available.status, available.reason) == (ConditionStatus.FALSE, "CoolingDown")
        assert "until 2026-11-30T12:01:00Z" in available.message

    @pytest.mark.parametrize(
        ("cooldowns", "health", "status", "reason"),
        [
            ((), HealthView(), ConditionStatus.TRUE, "Available"),
            ((), HealthView(healthy=False), ConditionStatus.FALSE, "ProbeFailed"),
            ((cooling(),), HealthView(), ConditionStatus.TRUE, "PartlyCooling"),
            ((cooling(WHOLE, CooldownPhase.RAMP),), HealthView(), ConditionStatus.TRUE, "Recovering"),
        ],
    )
    def test_available(
        self,
        cooldowns: tuple[FleetCooldown, ...],
        health: HealthView,
        status: ConditionStatus,
        reason: str,
    ) -> None:
        available = condition(merged(seen(cooldowns=cooldowns, health=health)), ConditionType.AVAILABLE)
        assert (available.status, available.reason) == (status, reason)

    @pytest.mark.parametrize(
        ("health", "status", "reason"),
        [
            (HealthView(), ConditionStatus.UNKNOWN, "NotProbed"),
            (HealthView(healthy=True), ConditionStatus.TRUE, "ProbePassed"),
            (HealthView(healthy=True, consecutive_failures=1), ConditionStatus.UNKNOWN, "ProbeFailed"),
            (HealthView(healthy=False, error="refused"), ConditionStatus.FALSE, "ProbeFailed"),
        ],
    )
    def test_healthy(self, health: HealthView, status: ConditionStatus, reason: str) -> None:
        healthy = condition(merged(seen(health=health)), ConditionType.HEALTHY)
        assert (healthy.status, healthy.reason) == (status, reason)
        assert health.error in healthy.message

    def test_a_provider_not_in_force_has_no_health(self) -> None:
        for status in (
            merged(seen(health=HealthView(healthy=True)), enabled=False),
            merged(seen(health=HealthView(healthy=True)), diagnostics=(ERROR,)),
        ):
            assert condition(status, ConditionType.HEALTHY).message == "not in force"
            assert not is_true(status.conditions, ConditionType.AVAILABLE)

    def test_a_refused_object_is_stalled_not_reconciling(self) -> None:
        status = merged(seen(), diagnostics=(ERROR,))
        assert is_true(status.conditions, ConditionType.STALLED)
        assert find_condition(status.conditions, ConditionType.RECONCILING) is None
        assert condition(status, ConditionType.READY).message == "spec.models: must not be empty"
        mended = merged(seen(), status)
        assert find_condition(mended.conditions, ConditionType.STALLED) is None

    def test_a_rollout_reconciles_until_every_ready_sidecar_has_it(self) -> None:
        status = merged(seen(sidecars=SidecarsView(total=3, ready=2, synced=1, ready_synced=1)))
        assert condition(status, ConditionType.RECONCILING).reason == "Pending"
        assert not is_true(status.conditions, ConditionType.READY)
        done = merged(seen(sidecars=SidecarsView(total=3, ready=2, synced=2, ready_synced=2)), status)
        assert find_condition(done.conditions, ConditionType.RECONCILING) is None
        assert is_true(done.conditions, ConditionType.READY)
        assert not is_true(done.conditions, ConditionType.SYNCED)

    def test_a_refusal_by_a_ready_sidecar_stalls(self) -> None:
        refusing = Lagging(SidecarId("ns", "web-1"), "SnapshotRefused", "unknown version", BEGIN)
        waiting = Lagging(SidecarId("ns", "web-0"), "Pending", "", BEGIN)
        view = SidecarsView(total=2, ready=2, lagging=(waiting, refusing))
        status = merged(seen(sidecars=view))
        stalled = condition(status, ConditionType.STALLED)
        assert (stalled.reason, "web-1: unknown version" in stalled.message) == ("SnapshotRefused", True)
        assert "web-0: Pending" in stalled.message
        unready = merged(seen(sidecars=SidecarsView(total=2, lagging=(refusing,))))
        assert find_condition(unready.conditions, ConditionType.STALLED) is None

    def test_times_move_only_with_the_status(self) -> None:
        first = merged(seen())
        second = merged(seen(cooldowns=(cooling(WHOLE),)), first, passed_s=30, generation=2)
        assert condition(second, ConditionType.READY).last_transition_time == "2026-11-30T12:00:00Z"
        assert condition(second, ConditionType.AVAILABLE).last_transition_time == "2026-11-30T12:00:30Z"
        assert {entry.observed_generation for entry in second.conditions} == {2}
        assert second.observed_generation == 2

    def test_many_faults_are_counted(self) -> None:
        told = accepted_fact((ERROR,) * 5, fine="")
        assert told.message.count("must not be empty") == 3
        assert told.message.endswith("and 2 more")


class TestCooldowns:
    def test_the_worst_come_first_and_their_number_is_bounded(self) -> None:
        many = [cooling(Scope(provider="ns/p", model=f"m{number}"), until_s=number) for number in range(80)]
        status = merged(seen(cooldowns=(*many, cooling(WHOLE, CooldownPhase.RAMP, until_s=1e4))))
        assert len(status.cooldowns) == 50
        assert [entry.model for entry in status.cooldowns[:2]] == ["m79", "m78"]
        assert status.cooldown_until == "2026-11-30T12:01:19Z"
        message = condition(status, ConditionType.AVAILABLE).message
        assert "and 78 more, 31 of them not listed in status" in message

    def test_a_wide_scope_comes_before_a_narrow_one(self) -> None:
        entries = outage(seen(cooldowns=(cooling(until_s=900), cooling(WHOLE, until_s=5)))).entries
        assert [entry.scope for entry in entries] == [WHOLE, KEY]

    def test_nothing_cools(self) -> None:
        status = merged(seen())
        assert (status.in_cooldown, status.cooldown_until, status.cooldowns) == (False, None, ())
        ramping = merged(seen(cooldowns=(cooling(phase=CooldownPhase.RAMP, share_percent=25),)))
        assert (ramping.in_cooldown, ramping.cooldown_until) == (False, None)
        assert ramping.cooldowns[0].share_percent == 25

    def test_odd_evidence_is_left_out(self) -> None:
        odd = Evidence(status=0, code="", header="h\n" * 200, sidecar="")
        (entry,) = merged(seen(cooldowns=(cooling(evidence=odd),))).cooldowns
        assert entry.evidence is not None
        assert (entry.evidence.status, entry.evidence.code, entry.evidence.sidecar) == (None, None, None)
        assert len(entry.evidence.header or "") == 128

    def test_a_permit_that_moves_is_nobodys_news(self) -> None:
        here = cooling(phase=CooldownPhase.HALF_OPEN, trial_sidecar="web-0", until_s=5)
        there = cooling(phase=CooldownPhase.HALF_OPEN, trial_sidecar="web-1", until_s=10)
        assert merged(seen(cooldowns=(here,))) == merged(seen(cooldowns=(there,)))

    def test_sentences(self) -> None:
        assert sentence(cooling(reason="429")) == (
            "model up with credential k cools until 2026-11-30T12:01:00Z (RateLimited: 429)"
        )
        assert sentence(cooling(WHOLE, CooldownPhase.RAMP, share_percent=25, cls=None)) == (
            "everything gets 25 % of its traffic again (Manual)"
        )
        assert "waits for a trial" in sentence(
            cooling(Scope(provider="ns/p", model="up"), CooldownPhase.HALF_OPEN)
        )


def test_quota_and_cost_are_shown_as_they_are_seen() -> None:
    before = LLMProviderStatus(quota=QuotaStatus(used="5"), cost=CostStatus(today="1.50"))
    quota, cost = QuotaStatus(used="6"), CostStatus(today="1.75")
    status = merged(seen(quota=quota, cost=cost), before)
    assert (status.quota, status.cost) == (quota, cost)
    assert merged(seen(), before).quota is None


def test_the_same_view_gives_the_same_status_at_any_time() -> None:
    view = seen(
        cooldowns=(cooling(), cooling(WHOLE, CooldownPhase.RAMP)),
        health=HealthView(healthy=True, last_check_utc=BEGIN, last_success_utc=BEGIN, uptime_percent=99.95),
        traffic=ProviderTraffic(requests=1234, errors=5, latency_sum_ms=99, latency_buckets={100: 9}),
    )
    once = merged(view, diagnostics=(WARNING,))
    assert merged(view, once, diagnostics=(WARNING,), passed_s=9999) == once
    again = msgspec.convert(to_wire(once), LLMProviderStatus)
    assert again == once


class TestOtherKinds:
    def test_a_policy(self) -> None:
        names = tuple(f"p{number:03}" for number in range(60))
        view = PolicyView(providers=names, active_cooldowns=3, trips_last_day=7)
        status = merge_policy_status(None, generation=2, diagnostics=(), view=view, now_utc=BEGIN)
        assert (status.provider_count, len(status.providers)) == (60, 50)
        assert (status.active_cooldowns, status.trips_last_day) == (3, 7)
        assert [entry.type for entry in status.conditions] == ["Accepted", "Ready"]

    def test_a_profile_names_the_worst_few(self) -> None:
        lagging = tuple(
            Lagging(SidecarId("ns", f"web-{number}"), "Pending", "", BEGIN) for number in range(12)
        )
        view = ProfileView(SidecarsView(total=12, ready=12, lagging=lagging))
        status = merge_profile_status(None, generation=1, diagnostics=(), view=view, now_utc=BEGIN)
        assert status.sidecars is not None
        assert (status.sidecars.summary, len(status.sidecars.worst)) == ("0/12", 10)
        assert is_true(status.conditions, ConditionType.RECONCILING)
        assert merge_profile_status(status, generation=1, diagnostics=(), view=view, now_utc=BEGIN) == status

    def test_an_alert_rule_keeps_its_evaluation(self) -> None:
        before = AlertRuleStatus(state=AlertState.FIRING, firing=1)
        status = merge_alertrule_status(
            before, generation=3, diagnostics=(ERROR,), alerts=None, now_utc=BEGIN
        )
        assert (status.state, status.firing, status.observed_generation) == (AlertState.FIRING, 1, 3)
        assert is_true(status.conditions, ConditionType.STALLED)
        fresh = merge_alertrule_status(None, generation=1, diagnostics=(), alerts=None, now_utc=BEGIN)
        assert is_true(fresh.conditions, ConditionType.READY)
