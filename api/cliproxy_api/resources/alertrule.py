"""AlertRule: a condition on providers, how long it must hold, and who is told; with the status we report.

The condition's grammar is in `cliproxy_api.alert_condition`, the rules across fields in `alertrule_rules`.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from cliproxy_api.resources.common import (
    DNS_LABEL,
    HTTP_URL,
    Condition,
    LabelSelector,
    ObjectMeta,
    ObservedGeneration,
    RestoredFrom,
    SecretRef,
    instant,
    items,
    keyed,
    text,
    timespan,
    whole,
    wire_name,
)
from cliproxy_api.vocabulary import AlertExport, AlertState, Delivery, Severity

EMAIL: Final = r"^[^@\s,;<>]+@[^@\s,;<>]+$"
HOST_PORT: Final = r"^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?:[0-9]{1,5}$"


class Slack(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """A Slack incoming webhook."""

    webhook_secret_ref: Annotated[
        SecretRef, Meta(description="The Secret that holds the incoming webhook's URL.")
    ]
    channel: (
        Annotated[str, text("Channel instead of the webhook's own, such as #llm.", at_most=80)] | None
    ) = None


class Email(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Mail through an SMTP server."""

    to: Annotated[
        tuple[Annotated[str, text("One address.", at_most=254, pattern=EMAIL)], ...],
        items("Addresses that get the mail.", at_least=1, at_most=20),
    ]
    from_: Annotated[str, text("Sender's address.", at_most=254, pattern=EMAIL)]
    smtp_host: Annotated[
        str, text("SMTP server as host:port, such as smtp.example.com:587.", at_most=260, pattern=HOST_PORT)
    ]
    start_tls: Annotated[bool, Meta(description="Whether the connection must be upgraded to TLS.")] = True
    username: (
        Annotated[str, text("User name for the SMTP server; default: no login.", at_most=254)] | None
    ) = None
    password_secret_ref: (
        Annotated[SecretRef, Meta(description="The Secret that holds the password; needed with `username`.")]
        | None
    ) = None


class PagerDuty(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """A PagerDuty service, through its Events API v2."""

    routing_key_secret_ref: Annotated[
        SecretRef, Meta(description="The Secret that holds the integration's routing key.")
    ]
    url: Annotated[
        str, text("Address that events are sent to, for other regions.", at_most=2048, pattern=HTTP_URL)
    ] = "https://events.pagerduty.com/v2/enqueue"


class Webhook(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Any HTTP receiver of JSON."""

    url: Annotated[str, text("Address that gets a POST with JSON.", at_most=2048, pattern=HTTP_URL)]
    secret_ref: (
        Annotated[
            SecretRef,
            Meta(description="The Secret whose value signs the body (HMAC-SHA256); default: not signed."),
        ]
        | None
    ) = None


class Alertmanager(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """A Prometheus Alertmanager, through its v2 API."""

    url: Annotated[
        str, text("Alertmanager's address without /api/v2/alerts.", at_most=2048, pattern=HTTP_URL)
    ]
    labels: Annotated[
        dict[str, Annotated[str, text("One label's value.", at_least=0, at_most=256)]],
        items("Labels added to every alert, for routing there.", at_most=32),
    ] = {}


class Notification(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """One channel: a name and exactly one receiver."""

    name: Annotated[
        str,
        text(
            "Name of the channel in status and metrics; unique within the rule.",
            at_most=63,
            pattern=DNS_LABEL,
        ),
    ]
    slack: Annotated[Slack, Meta(description="Tell a Slack channel.")] | None = None
    email: Annotated[Email, Meta(description="Send a mail.")] | None = None
    pagerduty: Annotated[PagerDuty, Meta(description="Trigger and resolve a PagerDuty incident.")] | None = (
        None
    )
    webhook: Annotated[Webhook, Meta(description="Send JSON to an HTTP receiver.")] | None = None
    alertmanager: Annotated[Alertmanager, Meta(description="Hand the alert to an Alertmanager.")] | None = (
        None
    )


class Resolve(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What happens when the condition no longer holds."""

    notify: Annotated[bool, Meta(description="Whether the channels are told that it is over.")] = True
    after: Annotated[
        str,
        timespan(
            "How long the condition must have been false before the alert is over.",
            at_least="0s",
            at_most="24h",
        ),
    ] = "0s"


class AlertRuleSpec(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What the user wants to be told."""

    condition: Annotated[
        str,
        text(
            "When to alert, judged for each provider: comparisons such as error_rate > 5%, p95_latency > 5s "
            "or "
            'provider_health == "unhealthy", joined with &&, ||, ! and parentheses.',
            at_most=1024,
        ),
    ]
    duration: Annotated[
        str,
        timespan("How long the condition must hold before the alert fires.", at_least="0s", at_most="24h"),
    ] = "0s"
    severity: Annotated[Severity, Meta(description="How bad it is: info, warning or critical.")] = (
        Severity.WARNING
    )
    provider_selector: Annotated[
        LabelSelector, Meta(description="Providers of this namespace that the rule is for; default: all.")
    ] = LabelSelector()
    notifications: Annotated[
        tuple[Notification, ...],
        keyed("Channels that are told; at least one.", "name", at_least=1, at_most=10),
    ]
    repeat_interval: Annotated[
        str,
        timespan("Time after which an alert that still fires is told again.", at_least="1m", at_most="720h"),
    ] = "4h"
    resolve: Annotated[Resolve, Meta(description="What happens when the condition no longer holds.")] = (
        Resolve()
    )
    suspend: Annotated[
        bool, Meta(description="Whether the rule rests: it is judged and shown, but nobody is told.")
    ] = False
    export: Annotated[
        AlertExport,
        Meta(
            description="What the rule is rendered to besides: None, or PrometheusRule for the Prometheus "
            "operator."
        ),
    ] = AlertExport.NONE


class DeliveryStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """How the last notification ended."""

    at: Annotated[str, instant("When it was sent; set by the operator.")] | None = None
    channel: Annotated[str, text("Name of the channel; set by the operator.", at_most=63)] | None = None
    result: Annotated[Delivery, Meta(description="Delivered or Failed; set by the operator.")] | None = None
    message: (
        Annotated[str, text("Why it failed, as a sentence; set by the operator.", at_most=512)] | None
    ) = None


class ChannelStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """How a channel took its last notification."""

    name: Annotated[str, text("Name of the channel; set by the operator.", at_most=63)]
    at: (
        Annotated[str, instant("When it was told, or first failed to be told; set by the operator.")] | None
    ) = None
    result: Annotated[Delivery, Meta(description="Delivered or Failed; set by the operator.")] | None = None
    message: (
        Annotated[str, text("Why it failed, as a sentence; set by the operator.", at_most=512)] | None
    ) = None


class ToldChannel(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """A channel that knows of an alert."""

    channel: Annotated[str, text("Name of the channel; set by the operator.", at_most=63)]
    at: Annotated[str, instant("When it was last told that the alert fires; set by the operator.")]


class ProviderAlert(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """Where the alert stands for one provider."""

    provider: Annotated[str, text("Name of the provider; set by the operator.", at_most=253)]
    state: (
        Annotated[AlertState, Meta(description="Inactive, Pending or Firing; set by the operator.")] | None
    ) = None
    since: Annotated[str, instant("When this state began; set by the operator.")] | None = None
    value: (
        Annotated[
            float,
            Meta(
                description="Value of the condition's first metric when the state began; set by the operator."
            ),
        ]
        | None
    ) = None
    fired_at: Annotated[str, instant("When it last began to fire; set by the operator.")] | None = None
    clear_since: (
        Annotated[
            str,
            instant(
                "Since when the condition has not been seen to hold while the state still stands; set by the "
                "operator."
            ),
        ]
        | None
    ) = None
    unknown: Annotated[
        tuple[Annotated[str, text("One metric.", at_most=63)], ...],
        items(
            "Metrics that leave the condition undecided, since nobody reports them now; set by the operator.",
            at_most=16,
        ),
    ] = ()
    told: Annotated[
        tuple[ToldChannel, ...],
        # Not keyed: servers of 1.20 turn a keyed list inside a keyed list into null when its last entry goes.
        items(
            "Channels that know that it fires and not yet that it is over; set by the operator.", at_most=10
        ),
    ] = ()
    last_notification: (
        Annotated[
            DeliveryStatus, Meta(description="The last notification and its result; set by the operator.")
        ]
        | None
    ) = None


class AlertRuleStatus(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name, omit_defaults=True):
    """Where an alert stands."""

    observed_generation: ObservedGeneration = -1
    restored_from: RestoredFrom | None = None
    state: (
        Annotated[
            AlertState,
            Meta(
                description="The worst state of all providers: Inactive, Pending or Firing; set by the "
                "operator."
            ),
        ]
        | None
    ) = None
    firing: Annotated[int, whole("Providers that it fires for; set by the operator.")] | None = None
    pending: Annotated[int, whole("Providers that it is pending for; set by the operator.")] | None = None
    providers: Annotated[
        tuple[ProviderAlert, ...],
        items("State by provider, the worst 100; set by the operator.", at_most=100),
    ] = ()
    channels: Annotated[
        tuple[ChannelStatus, ...],
        items("How each channel took its last notification; set by the operator.", at_most=10),
    ] = ()
    exported: (
        Annotated[
            str,
            text("Name of the PrometheusRule that was made of the rule; set by the operator.", at_most=253),
        ]
        | None
    ) = None
    conditions: Annotated[
        tuple[Condition, ...],
        keyed(
            "Accepted, Ready, Delivering and Exported, and Reconciling or Stalled while true; set by the "
            "operator.",
            "type",
            at_most=16,
        ),
    ] = ()


class AlertRule(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """A condition on providers and who is told when it holds, as declared by a user."""

    metadata: ObjectMeta
    spec: AlertRuleSpec
    status: AlertRuleStatus = AlertRuleStatus()
