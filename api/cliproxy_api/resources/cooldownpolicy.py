"""CooldownPolicy: when a provider sits out, how long, and how it comes back; with the status we report.

The rules across fields are in `cooldownpolicy_rules`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from cliproxy_api.resources.common import (
    Condition,
    ObjectMeta,
    ObservedGeneration,
    items,
    keyed,
    ratio,
    text,
    timespan,
    whole,
    wire_name,
)
from cliproxy_api.vocabulary import (
    COUNTED_CLASSES,
    CooldownScope,
    LastResort,
    OutcomeClass,
    RecoveryProbe,
    Trip,
)


class Durations(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How long a scope sits out when the provider gives no hint."""

    default: Annotated[
        str, timespan("For failures that no other duration is for.", at_least="1s", at_most="720h")
    ] = "5m"
    rate_limit: Annotated[
        str, timespan("For rate limits that keep coming (RateLimited, Ramp).", at_least="1s", at_most="720h")
    ] = "10m"
    error: Annotated[
        str,
        timespan("For outages (ServerError, StreamError, Overloaded).", at_least="1s", at_most="720h"),
    ] = "2m"
    quota_exhausted: Annotated[
        str,
        timespan("For used-up quota or credit (QuotaLong, QuotaMoney).", at_least="1s", at_most="720h"),
    ] = "1h"
    auth: Annotated[
        str,
        timespan("For refused keys (Auth); a changed Secret ends it at once.", at_least="1s", at_most="720h"),
    ] = "1h"


class Backoff(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How cooldowns grow when a scope trips again before it has recovered."""

    multiplier: Annotated[
        float,
        ratio("Factor by which each repeated cooldown is longer than the last.", at_least=1, at_most=10),
    ] = 2.0
    jitter: Annotated[
        float, ratio("Random share that is added to a cooldown, so that a fleet does not return at once.")
    ] = 0.1


class Recovery(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """The way back from a cooldown."""

    check_interval: Annotated[
        str,
        timespan(
            "Longest step of the ramp; no step is longer than the cooldown was.",
            at_least="100ms",
            at_most="1h",
        ),
    ] = "30s"
    probe: Annotated[
        RecoveryProbe,
        Meta(
            description="What proves that a scope is back: Request (one caller's request is let through), "
            "HealthCheck "
            "(the unbilled probe) or None (time alone)."
        ),
    ] = RecoveryProbe.REQUEST
    half_open_max_calls: Annotated[
        int,
        whole(
            "Trial calls that must pass, one after the other, before the ramp begins.",
            at_least=1,
            at_most=100,
        ),
    ] = 1
    ramp: Annotated[
        tuple[Annotated[int, whole("One step, in percent.", at_least=1, at_most=100)], ...],
        items(
            "Shares of its normal traffic that a recovered scope gets, step by step, in percent; ascending, "
            "ends with 100.",
            at_least=1,
            at_most=10,
        ),
    ] = (10, 25, 50, 100)
    max_attempts: Annotated[
        int,
        whole(
            "Failed trials that wait only `backoff`; after them each failure waits the class's full "
            "duration.",
            at_most=100,
        ),
    ] = 3
    backoff: Annotated[
        str,
        timespan("Pause after a failed trial, grown by backoff.multiplier.", at_least="100ms", at_most="24h"),
    ] = "30s"


class ClassOverride(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """The policy's own word on one outcome class; at least one field is set."""

    duration: (
        Annotated[
            str,
            timespan(
                "How long this class cools its scope, instead of `durations`.", at_least="1s", at_most="720h"
            ),
        ]
        | None
    ) = None
    trip: (
        Annotated[
            Trip,
            Meta(
                description="When this class starts a cooldown: Immediate (at the first failure), Threshold "
                "(at errorThreshold) "
                "or Never."
            ),
        ]
        | None
    ) = None


class CooldownPolicySpec(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What the user wants cooldowns to be."""

    enabled: Annotated[
        bool, Meta(description="Whether failures start cooldowns; manual ones work all the same.")
    ] = True
    default: Annotated[
        bool,
        Meta(
            description="Whether this policy is for all providers of its namespace that name none; at most "
            "one may be."
        ),
    ] = False
    detection_window: Annotated[
        str, timespan("Time within which errorThreshold failures are counted.", at_least="1s", at_most="24h")
    ] = "1m"
    error_threshold: Annotated[
        int,
        whole(
            "Failures of a scope within detectionWindow that start a cooldown.", at_least=1, at_most=10_000
        ),
    ] = 5
    durations: Annotated[
        Durations, Meta(description="How long a scope sits out when the provider gives no hint.")
    ] = Durations()
    honor_provider_hints: Annotated[
        bool, Meta(description="Whether a provider's own word (Retry-After and its like) sets the length.")
    ] = True
    max_duration: Annotated[
        str,
        timespan(
            "Longest cooldown, whatever a provider asks for or back-off yields.",
            at_least="1s",
            at_most="720h",
        ),
    ] = "24h"
    backoff: Annotated[
        Backoff, Meta(description="How cooldowns grow when a scope trips again before it has recovered.")
    ] = Backoff()
    scope: Annotated[
        CooldownScope,
        Meta(
            description="Who shares counts and cooldowns: Fleet (all sidecars at once) or Sidecar (each for "
            "itself)."
        ),
    ] = CooldownScope.FLEET
    last_resort: Annotated[
        LastResort,
        Meta(
            description="What to do with a request when every candidate is cooling: UseLeastBad (the one "
            "that returns "
            "soonest), Wait (up to maxWait) or Reject."
        ),
    ] = LastResort.USE_LEAST_BAD
    max_wait: Annotated[
        str,
        timespan(
            "With lastResort Wait: longest wait for a candidate to return.", at_least="100ms", at_most="5m"
        ),
    ] = "5s"
    recovery: Annotated[Recovery, Meta(description="The way back from a cooldown: trial, then ramp.")] = (
        Recovery()
    )
    class_overrides: Annotated[
        dict[OutcomeClass, Annotated[ClassOverride, Meta(description="The policy's word on this class.")]],
        Meta(
            description="Exceptions by outcome class: RateLimited, Ramp, QuotaLong, QuotaMoney, Overloaded, "
            "ServerError, Auth, Config or StreamError.",
            max_length=9,
            extra_json_schema={"x-keys": tuple(one.value for one in OutcomeClass if one in COUNTED_CLASSES)},
        ),
    ] = {}


class CooldownPolicyStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """Who uses a policy and what it does."""

    observed_generation: ObservedGeneration = -1
    provider_count: (
        Annotated[int, whole("Providers that this policy is in force for; set by the operator.")] | None
    ) = None
    providers: Annotated[
        tuple[Annotated[str, text("Name of one provider.", at_most=253)], ...],
        items("Names of these providers, at most 50 of them; set by the operator.", at_most=50),
    ] = ()
    active_cooldowns: (
        Annotated[int, whole("Cooldowns of these providers that are in force now; set by the operator.")]
        | None
    ) = None
    trips_last_day: (
        Annotated[int, whole("Cooldowns that began in the last 24 hours; set by the operator.")] | None
    ) = None
    conditions: Annotated[
        tuple[Condition, ...],
        keyed(
            "Accepted and Ready, and Reconciling or Stalled while true; set by the operator.",
            "type",
            at_most=16,
        ),
    ] = ()


class CooldownPolicy(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How providers cool down and recover, as declared by a user."""

    metadata: ObjectMeta
    spec: CooldownPolicySpec = CooldownPolicySpec()
    status: CooldownPolicyStatus = CooldownPolicyStatus()
