"""Failures and cooldowns to a refusal: which kind, which words, when to ask again."""

import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass
from cliproxy_sidecar.core.choice import Lack, NoTarget, Skipped, SkipReason
from cliproxy_sidecar.core.errors import ErrorKind
from cliproxy_sidecar.core.outcome import TransportError, classify_transport
from cliproxy_sidecar.core.permit import Blocked
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.proxy import unavailable
from support.cooling import failed as outcome_of
from support.cooling import provider, target

A, B = target(provider("a")), target(provider("b"))


def cooling(
    of: Target, cls: OutcomeClass | None, until: float = 130.0, why: SkipReason = SkipReason.COOLING
) -> Skipped:
    blocked = Blocked(
        until=until,
        scope=Scope(provider=of.provider_id),
        phase=CooldownPhase.COOLING,
        outcome_class=cls,
        reason=f"because {cls}",
    )
    return Skipped(of, why, blocked)


def lack(*skipped: Skipped, reason: Lack = Lack.ALL_COOLING) -> NoTarget:
    return NoTarget(reason, skipped=skipped)


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        ((OutcomeClass.RATE_LIMITED,), ErrorKind.RATE_LIMITED),
        ((OutcomeClass.RATE_LIMITED, OutcomeClass.QUOTA_LONG), ErrorKind.RATE_LIMITED),
        ((OutcomeClass.RATE_LIMITED, OutcomeClass.AUTH), ErrorKind.UNAVAILABLE),
        ((OutcomeClass.OVERLOADED,), ErrorKind.UNAVAILABLE),
        ((OutcomeClass.QUOTA_MONEY,), ErrorKind.UNAVAILABLE),
        ((None,), ErrorKind.UNAVAILABLE),
    ],
)
def test_limits_are_told_as_limits_and_all_else_as_unavailable(
    classes: tuple[OutcomeClass | None, ...], kind: ErrorKind
) -> None:
    skipped = [cooling(of, cls) for of, cls in zip((A, B), classes, strict=False)]
    refusal = unavailable.no_target("m", lack(*skipped), {}, 100.0)
    assert refusal.kind is kind
    assert refusal.retry_after_s == 30.0


def test_the_soonest_return_counts_and_everyone_is_named() -> None:
    skipped = (
        cooling(A, OutcomeClass.RATE_LIMITED, 160.0),
        cooling(B, OutcomeClass.RATE_LIMITED, 112.0),
    )
    refusal = unavailable.no_target("m", lack(*skipped), {}, 100.0)
    assert refusal.retry_after_s == 12.0
    assert "a (because RateLimited, for 60 s more)" in refusal.message
    assert "b (because RateLimited, for 12 s more)" in refusal.message


def test_a_provider_is_named_once_per_reason() -> None:
    of = provider("a", credentials=(("k1", 1), ("k2", 1)))
    skipped = tuple(cooling(target(of, key=key), OutcomeClass.RATE_LIMITED) for key in (0, 1))
    assert unavailable.no_target("m", lack(*skipped), {}, 100.0).message.count("because") == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("connect", ErrorKind.UPSTREAM_FAILED),
        ("reset", ErrorKind.UPSTREAM_FAILED),
        ("first_byte_timeout", ErrorKind.TIMEOUT),
        ("idle_timeout", ErrorKind.TIMEOUT),
        ("total_timeout", ErrorKind.TIMEOUT),
    ],
)
def test_failures_of_this_request_are_told_as_such(fault: str, kind: ErrorKind) -> None:
    outcome = classify_transport(TransportError(fault, "x"))  # type: ignore[arg-type]
    refusal = unavailable.failed("m", A, outcome, None, 100.0)
    assert refusal.kind is kind
    assert f"a ({outcome.reason})" in refusal.message
    assert refusal.retry_after_s is None


def test_a_request_out_of_time_is_a_time_out() -> None:
    cancelled = outcome_of(OutcomeClass.CANCELLED, status=None)
    assert unavailable.failed("m", A, cancelled, None, 100.0).kind is ErrorKind.TIMEOUT


def test_who_is_unhealthy_is_told_so() -> None:
    refusal = unavailable.no_target(
        "m", lack(Skipped(A, SkipReason.UNHEALTHY), reason=Lack.ALL_UNHEALTHY), {}, 100.0
    )
    assert refusal.kind is ErrorKind.UNAVAILABLE
    assert "a (its probes fail)" in refusal.message


def test_unknown_models_and_formats() -> None:
    unknown = unavailable.no_target("m", NoTarget(Lack.UNKNOWN_MODEL), {}, 0.0)
    other = unavailable.no_target("m", NoTarget(Lack.OTHER_FORMAT), {}, 0.0)
    assert (unknown.kind, unknown.param) == (ErrorKind.UNKNOWN_MODEL, "model")
    assert (other.kind, other.param) == (ErrorKind.WRONG_FORMAT, "model")
