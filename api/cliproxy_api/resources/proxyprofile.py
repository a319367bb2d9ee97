"""ProxyProfile, what users write: how a group of sidecars behaves; with the status we report.

Callers, budgets and caching are in `proxyprofile_parts`, the rules across fields in `proxyprofile_rules`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from cliproxy_api.resources.common import (
    DAY,
    HTTP_URL,
    Condition,
    LabelSelector,
    ObjectMeta,
    ObservedGeneration,
    RestoredFrom,
    SidecarCounts,
    instant,
    items,
    keyed,
    money,
    text,
    timespan,
    whole,
    wire_name,
)
from cliproxy_api.resources.proxyprofile_parts import (
    Batching,
    Cache,
    Coalescing,
    CondensationSpec,
    Consumer,
    FaultInjection,
    Limits,
    Logging,
    Tracing,
)
from cliproxy_api.vocabulary import Affinity, FailoverMode, Strategy


class LoadBalancing(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How a target is chosen among candidates of the same priority."""

    strategy: Annotated[
        Strategy,
        Meta(
            description="How a target is chosen: round_robin (by weight), quota_aware (largest share left), "
            "latency "
            "(fastest) or cost (cheapest)."
        ),
    ] = Strategy.ROUND_ROBIN
    latency_window: Annotated[
        str, timespan("Time that latencies are averaged over.", at_least="1s", at_most="24h")
    ] = "5m"
    affinity: Annotated[
        Affinity,
        Meta(
            description="What keeps related requests at one provider, so that its prompt cache is used: "
            "None, Session (the "
            "caller's session) or Prefix (the same beginning)."
        ),
    ] = Affinity.NONE


class Failover(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """A backup outside the declared providers, such as a gateway in another region."""

    mode: Annotated[
        FailoverMode,
        Meta(
            description="How the backup is used: none, active_passive (only when no provider can serve) or "
            "active_active (always, as one more). No effect in this version: declare the backup as an "
            "LLMProvider with a higher priority number (active_passive) or the same one (active_active)."
        ),
    ] = FailoverMode.NONE
    backup_url: (
        Annotated[
            str,
            text(
                "Address of the backup, in the caller's format; needed unless mode is none.",
                at_most=2048,
                pattern=HTTP_URL,
            ),
        ]
        | None
    ) = None
    health_check_interval: Annotated[
        str, timespan("Time between two probes of the backup.", at_least="1s", at_most="1h")
    ] = "10s"
    failover_timeout: Annotated[
        str,
        timespan("How long no provider can serve before the backup takes over.", at_least="0s", at_most="1h"),
    ] = "30s"


class RetryBudget(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What one request, and all together, may spend on further attempts."""

    max_attempts: Annotated[
        int, whole("Attempts for one request over all providers, the first included.", at_least=1, at_most=20)
    ] = 4
    timeout: Annotated[
        str,
        timespan("Longest time for one request over all its attempts.", at_least="100ms", at_most="24h"),
    ] = "10m"
    percent: Annotated[
        int,
        whole(
            "Further attempts that are allowed, in percent of all requests of the last 10 seconds.",
            at_most=1000,
        ),
    ] = 20
    min_per_second: Annotated[
        int,
        whole("Further attempts a second that are allowed however little traffic there is.", at_most=10_000),
    ] = 10


class ProxyProfileSpec(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What the user wants of the sidecars that follow the profile."""

    load_balancing: Annotated[
        LoadBalancing, Meta(description="How a target is chosen among candidates of the same priority.")
    ] = LoadBalancing()
    provider_selector: Annotated[
        LabelSelector,
        Meta(
            description="Providers that these sidecars use, among those their namespace may use; default: "
            "all."
        ),
    ] = LabelSelector()
    failover: Annotated[
        Failover,
        Meta(description="A backup outside the declared providers, such as a gateway in another region."),
    ] = Failover()
    retry_budget: Annotated[
        RetryBudget, Meta(description="What one request, and all together, may spend on further attempts.")
    ] = RetryBudget()
    cache: Annotated[Cache, Meta(description="Answers to repeated identical requests.")] = Cache()
    batching: Annotated[Batching, Meta(description="Joining of embedding requests.")] = Batching()
    coalescing: Annotated[
        Coalescing, Meta(description="One upstream request for identical requests in flight.")
    ] = Coalescing()
    consumers: Annotated[
        tuple[Consumer, ...],
        keyed(
            "Callers with keys of their own; default: none, and every caller in the pod may use the sidecar.",
            "name",
            at_most=500,
        ),
    ] = ()
    limits: Annotated[Limits, Meta(description="What one sidecar takes from its callers.")] = Limits()
    condensation: Annotated[
        CondensationSpec, Meta(description="What to do with requests that exceed a model's context window.")
    ] = CondensationSpec()
    logging: Annotated[Logging, Meta(description="What the sidecars log.")] = Logging()
    tracing: Annotated[Tracing, Meta(description="Where traces go; default: nowhere.")] | None = None
    fault_injection: (
        Annotated[
            FaultInjection,
            Meta(description="Faults made on purpose, for drills; always with an end; default: none."),
        ]
        | None
    ) = None


class LaggingSidecar(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """A sidecar that does not run the current configuration."""

    pod: Annotated[str, text("Name of the pod; set by the operator.", at_most=253)]
    reason: (
        Annotated[str, text("Why it lags, in one CamelCase word; set by the operator.", at_most=128)] | None
    ) = None
    message: (
        Annotated[str, text("What it says about it, as a sentence; set by the operator.", at_most=512)] | None
    ) = None
    since: Annotated[str, instant("Since when; set by the operator.")] | None = None


class ProfileSidecars(SidecarCounts, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """How many sidecars follow the profile, and the worst few."""

    worst: Annotated[
        tuple[LaggingSidecar, ...],
        items("Sidecars that lag longest, at most 10; set by the operator.", at_most=10),
    ] = ()


class ConsumerSpent(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """What one consumer has spent, fleet-wide."""

    name: Annotated[str, text("Name of the consumer; set by the operator.", at_most=63)]
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
    this_week: Annotated[str, money("Spent since Monday UTC, in US dollars; set by the operator.")] | None = (
        None
    )
    this_month: (
        Annotated[str, money("Spent since the 1st of this month UTC, in US dollars; set by the operator.")]
        | None
    ) = None


class UninjectedPod(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """A pod that lacks the sidecar that a new pod would get."""

    pod: Annotated[str, text("Name of the pod; set by the operator.", at_most=253)]
    reason: Annotated[str, text("Why, in one CamelCase word; set by the operator.", at_most=128)] | None = (
        None
    )
    message: (
        Annotated[str, text("Why and what to do, as a sentence; set by the operator.", at_most=512)] | None
    ) = None
    since: Annotated[str, instant("When the pod was made; set by the operator.")] | None = None


class Injection(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """How many pods ask for a sidecar by label, and have it."""

    current: Annotated[
        int, whole("Pods with the sidecar that a new pod would get; set by the operator.", at_least=0)
    ] = 0
    stale: Annotated[
        int, whole("Pods with a sidecar of an older version or setting; set by the operator.", at_least=0)
    ] = 0
    missing: Annotated[
        int, whole("Pods that ask for a sidecar and have none; set by the operator.", at_least=0)
    ] = 0
    summary: (
        Annotated[str, text("Current of all that ask, such as 2/2; set by the operator.", at_most=32)] | None
    ) = None
    worst: Annotated[
        tuple[UninjectedPod, ...],
        items("Pods without the current sidecar, at most 10; set by the operator.", at_most=10),
    ] = ()


class ProxyProfileStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """Whether the sidecars follow."""

    observed_generation: ObservedGeneration = -1
    restored_from: RestoredFrom | None = None
    sidecars: (
        Annotated[
            ProfileSidecars,
            Meta(
                description="How many sidecars follow the profile and run its current generation; set by "
                "the operator."
            ),
        ]
        | None
    ) = None
    consumers: Annotated[
        tuple[ConsumerSpent, ...],
        keyed(
            "What consumers have spent, at most 200 by name; set by the operator.",
            "name",
            at_most=200,
        ),
    ] = ()
    injection: (
        Annotated[
            Injection,
            Meta(description="Pods of the profile that ask for a sidecar by label; set by the operator."),
        ]
        | None
    ) = None
    conditions: Annotated[
        tuple[Condition, ...],
        keyed(
            "Accepted, Synced and Ready, Injected while pods ask for sidecars, and Reconciling or Stalled "
            "while true; set by the operator.",
            "type",
            at_most=16,
        ),
    ] = ()


class ProxyProfile(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How a group of sidecars behaves, as declared by a user."""

    metadata: ObjectMeta
    spec: ProxyProfileSpec = ProxyProfileSpec()
    status: ProxyProfileStatus = ProxyProfileStatus()
