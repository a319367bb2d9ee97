"""LLMProvider, what the operator reports: health, cooldowns, traffic, money and convergence.

Everything is optional and bounded; instants are RFC 3339 with seconds, figures are coarse, so that a steady
provider's status does not change. There is no remaining-seconds field: it would change by itself.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cliproxy_api.resources.common import (
    DAY,
    Condition,
    ObservedGeneration,
    RestoredFrom,
    SidecarCounts,
    instant,
    items,
    keyed,
    money,
    ratio,
    text,
    whole,
    wire_name,
)
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, ProviderPhase, ScopeKind

MAX_COOLDOWNS: Final = 50
"""More are counted in the message of condition Available; the soonest to end are kept."""

MAX_DAYS: Final = 62
"""Two months: this one and one to compare it with."""
MAX_MODELS: Final = 50
"""Of this month's, by cost."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """What the provider said that started a cooldown; never a key, never a prompt."""

    status: (
        Annotated[
            int,
            whole("HTTP status of the provider's answer; set by the operator.", at_least=100, at_most=599),
        ]
        | None
    ) = None
    code: (
        Annotated[str, text("The provider's own error code or type; set by the operator.", at_most=128)]
        | None
    ) = None
    header: (
        Annotated[
            str, text("Header or body field that told how long to wait; set by the operator.", at_most=128)
        ]
        | None
    ) = None
    sidecar: Annotated[str, text("Sidecar pod that saw it; set by the operator.", at_most=317)] | None = None


class CooldownStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """One scope that sits out, or is on its way back."""

    scope: Annotated[
        ScopeKind,
        Meta(
            description="What sits out: Provider, Credential, Model or CredentialModel; set by the operator."
        ),
    ]
    credential: (
        Annotated[
            str, text("Credential that sits out, for scopes that have one; set by the operator.", at_most=63)
        ]
        | None
    ) = None
    model: (
        Annotated[
            str,
            text("Upstream model that sits out, for scopes that have one; set by the operator.", at_most=256),
        ]
        | None
    ) = None
    class_: (
        Annotated[
            OutcomeClass,
            Meta(
                description="Class of the failure that started it; absent if a person did; set by the "
                "operator."
            ),
        ]
        | None
    ) = None
    phase: (
        Annotated[
            CooldownPhase,
            Meta(
                description="Cooling, HalfOpen (a trial is due) or Ramp (traffic returns); set by the "
                "operator."
            ),
        ]
        | None
    ) = None
    reason: Annotated[str, text("Why, as one line for people; set by the operator.", at_most=256)] | None = (
        None
    )
    since: Annotated[str, instant("When it began; set by the operator.")] | None = None
    until: (
        Annotated[
            str, instant("When the present phase ends: cooling, trial or ramp step; set by the operator.")
        ]
        | None
    ) = None
    level: (
        Annotated[
            int,
            whole(
                "How often it has tripped again without having recovered; set by the operator.", at_most=1000
            ),
        ]
        | None
    ) = None
    share_percent: (
        Annotated[
            int,
            whole(
                "In Ramp: share of its normal traffic that passes, in percent; set by the operator.",
                at_most=100,
            ),
        ]
        | None
    ) = None
    evidence: (
        Annotated[Evidence, Meta(description="What the provider said that started it; set by the operator.")]
        | None
    ) = None


class HealthStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """What probes and traffic tell about health."""

    last_check: Annotated[str, instant("When a probe last ended; set by the operator.")] | None = None
    last_success: Annotated[str, instant("When a probe last passed; set by the operator.")] | None = None
    consecutive_failures: (
        Annotated[int, whole("Failed probes in a row up to now; set by the operator.")] | None
    ) = None
    error_count: Annotated[int, whole("Failed probes in the last 24 hours; set by the operator.")] | None = (
        None
    )
    uptime_percent: (
        Annotated[
            float,
            ratio(
                "Share of probes of the last 24 hours that passed, in percent; set by the operator.",
                at_most=100,
            ),
        ]
        | None
    ) = None


class TrafficStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """Fleet-wide figures of the last minute."""

    requests_last_minute: (
        Annotated[
            int, whole("Attempts at this provider in the last minute, fleet-wide; set by the operator.")
        ]
        | None
    ) = None
    errors_last_minute: (
        Annotated[
            int,
            whole("Attempts of the last minute that failed by the provider's fault; set by the operator."),
        ]
        | None
    ) = None
    average_latency_ms: (
        Annotated[
            int, whole("Mean time of the last minute's attempts, in milliseconds; set by the operator.")
        ]
        | None
    ) = None
    p95_latency_ms: (
        Annotated[
            int,
            whole(
                "Time that 95 % of the last minute's attempts stayed below, in milliseconds; set by the "
                "operator."
            ),
        ]
        | None
    ) = None
    tokens_last_minute: (
        Annotated[int, whole("Input and output tokens of the last minute, fleet-wide; set by the operator.")]
        | None
    ) = None


class QuotaStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """Where the quota stands, in the quota's unit."""

    used: (
        Annotated[
            str,
            text("Used in this period, in the quota's unit, as a decimal; set by the operator.", at_most=32),
        ]
        | None
    ) = None
    remaining: (
        Annotated[
            str,
            text("Left in this period, in the quota's unit, as a decimal; set by the operator.", at_most=32),
        ]
        | None
    ) = None
    resets_at: Annotated[str, instant("When the next period begins; set by the operator.")] | None = None


class DayCost(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """What one day has cost."""

    day: Annotated[str, text("The day (UTC); set by the operator.", at_least=10, at_most=10, pattern=DAY)]
    cost: Annotated[str, money("Spent on that day, in US dollars; set by the operator.")] | None = None


class ModelCost(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """What one model has cost this month; the buckets of tokens are disjoint."""

    model: Annotated[str, text("The model, as callers name it; set by the operator.", at_most=256)]
    cost: Annotated[str, money("Spent this month, in US dollars; set by the operator.")] | None = None
    estimated_cost: (
        Annotated[
            str,
            money(
                "Part of the cost that stands on tokens no provider has counted, in US dollars; set by the "
                "operator."
            ),
        ]
        | None
    ) = None
    saved: (
        Annotated[
            str,
            money(
                "What answers that were given again had cost when they were made, in US dollars; set by the "
                "operator."
            ),
        ]
        | None
    ) = None
    requests: Annotated[int, whole("Requests answered this month; set by the operator.")] | None = None
    reused: (
        Annotated[int, whole("Requests that got another request's answer; set by the operator.")] | None
    ) = None
    input_tokens: Annotated[int, whole("Fresh input tokens of this month; set by the operator.")] | None = (
        None
    )
    cached_input_tokens: (
        Annotated[int, whole("Tokens read from the provider's prompt cache this month; set by the operator.")]
        | None
    ) = None
    cache_write_tokens: (
        Annotated[
            int, whole("Tokens written to the provider's prompt cache this month; set by the operator.")
        ]
        | None
    ) = None
    output_tokens: (
        Annotated[int, whole("Output tokens of this month, without reasoning; set by the operator.")] | None
    ) = None
    reasoning_tokens: Annotated[int, whole("Reasoning tokens of this month; set by the operator.")] | None = (
        None
    )


class CostStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """Money spent, fleet-wide."""

    day: (
        Annotated[
            str,
            text(
                "The day (UTC) that the figures are of; set by the operator.",
                at_least=10,
                at_most=10,
                pattern=DAY,
            ),
        ]
        | None
    ) = None
    today: Annotated[str, money("Spent since midnight UTC, in US dollars; set by the operator.")] | None = (
        None
    )
    this_month: (
        Annotated[str, money("Spent since the 1st of this month UTC, in US dollars; set by the operator.")]
        | None
    ) = None
    days: Annotated[
        tuple[DayCost, ...],
        keyed(
            "Earlier days with any cost, at most 62, the latest first; set by the operator.",
            "day",
            at_most=MAX_DAYS,
        ),
    ] = ()
    models: Annotated[
        tuple[ModelCost, ...],
        keyed(
            "This month by model, the 50 dearest, by name; set by the operator.",
            "model",
            at_most=MAX_MODELS,
        ),
    ] = ()


class LLMProviderStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """What the fleet knows about a provider."""

    observed_generation: ObservedGeneration = -1
    restored_from: RestoredFrom | None = None
    phase: (
        Annotated[
            ProviderPhase,
            Meta(
                description="State in one word: Healthy, Degraded, CoolingDown, Unhealthy, Disabled, "
                "Misconfigured or "
                "Unknown; set by the operator."
            ),
        ]
        | None
    ) = None
    reason: (
        Annotated[
            str,
            text("Why the phase is not Healthy, in one CamelCase word; set by the operator.", at_most=128),
        ]
        | None
    ) = None
    in_cooldown: (
        Annotated[
            bool, Meta(description="Whether anything of this provider sits out now; set by the operator.")
        ]
        | None
    ) = None
    cooldown_until: (
        Annotated[str, instant("When the latest of the present cooldowns ends; set by the operator.")] | None
    ) = None
    cooldowns: Annotated[
        tuple[CooldownStatus, ...],
        items(
            "Scopes that sit out or are on their way back, at most 50; set by the operator.",
            at_most=MAX_COOLDOWNS,
        ),
    ] = ()
    last_recovered_time: (
        Annotated[
            str,
            instant(
                "When a person last ended all cooldowns; what was found before stays over; set by the "
                "operator."
            ),
        ]
        | None
    ) = None
    health: (
        Annotated[HealthStatus, Meta(description="What probes tell about health; set by the operator.")]
        | None
    ) = None
    traffic: (
        Annotated[
            TrafficStatus, Meta(description="Fleet-wide figures of the last minute; set by the operator.")
        ]
        | None
    ) = None
    quota: Annotated[QuotaStatus, Meta(description="Where the quota stands; set by the operator.")] | None = (
        None
    )
    cost: Annotated[CostStatus, Meta(description="Money spent, fleet-wide; set by the operator.")] | None = (
        None
    )
    sidecars: (
        Annotated[
            SidecarCounts,
            Meta(
                description="How many sidecars may use the provider and run its current generation; set by "
                "the operator."
            ),
        ]
        | None
    ) = None
    conditions: Annotated[
        tuple[Condition, ...],
        keyed(
            "Accepted, Synced, Healthy, Available and Ready, and Reconciling or Stalled while true; set by "
            "the operator.",
            "type",
            at_most=16,
        ),
    ] = ()
