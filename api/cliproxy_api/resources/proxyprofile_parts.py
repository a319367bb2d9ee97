"""The parts of a ProxyProfile that are about callers, doing less, and seeing what happens."""

from typing import Annotated

import msgspec
from msgspec import Meta

from cliproxy_api.resources.common import (
    DNS_LABEL,
    HTTP_URL,
    SecretRef,
    instant,
    money,
    ratio,
    text,
    timespan,
    whole,
    wire_name,
)
from cliproxy_api.vocabulary import Condensation, LogFormat, LogLevel, OnExceeded


class Redis(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """A Redis server as second level of the cache."""

    url: Annotated[
        str,
        text(
            "Address of the server, such as redis://redis:6379/0 or rediss:// for TLS, without a password.",
            at_most=2048,
            pattern=r"^rediss?://[^\s/?#@]+(/[0-9]{1,3})?$",
        ),
    ]
    password_secret_ref: (
        Annotated[SecretRef, Meta(description="The Secret that holds the password; default: none is sent.")]
        | None
    ) = None


class Cache(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Answers to repeated identical requests."""

    enabled: Annotated[bool, Meta(description="Whether answers are kept and given again.")] = False
    size: Annotated[int, whole("Most answers that one sidecar keeps.", at_least=1, at_most=1_000_000)] = 1000
    max_bytes: Annotated[
        int,
        whole(
            "Most memory that kept answers take in one sidecar, in bytes.",
            at_least=1024**2,
            at_most=16 * 1024**3,
        ),
    ] = 32 * 1024 * 1024
    ttl: Annotated[str, timespan("How long an answer may be given again.", at_least="1s", at_most="720h")] = (
        "5m"
    )
    redis: (
        Annotated[
            Redis, Meta(description="A Redis server that the sidecars share; default: each keeps its own.")
        ]
        | None
    ) = None


class Batching(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Joining of embedding requests."""

    enabled: Annotated[bool, Meta(description="Whether small embedding requests are joined.")] = False
    max_batch_size: Annotated[int, whole("Most inputs in one joined request.", at_least=1, at_most=2048)] = 10
    timeout: Annotated[
        str, timespan("Longest wait for further requests to join.", at_least="1ms", at_most="10s")
    ] = "100ms"


class Coalescing(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """One upstream request for identical requests in flight."""

    enabled: Annotated[bool, Meta(description="Whether identical requests in flight share one answer.")] = (
        False
    )


class ConsumerRateLimit(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How much one caller may ask."""

    requests_per_minute: (
        Annotated[int, whole("Most requests in a minute; default: no limit.", at_least=1, at_most=10**9)]
        | None
    ) = None
    tokens_per_minute: (
        Annotated[
            int,
            whole("Most input and output tokens in a minute; default: no limit.", at_least=1, at_most=10**12),
        ]
        | None
    ) = None
    max_concurrent: (
        Annotated[int, whole("Most requests in flight; default: no limit.", at_least=1, at_most=10**6)] | None
    ) = None


class Budget(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How much one caller may spend; periods begin at midnight UTC."""

    daily: Annotated[str, money("Most in a day, in US dollars; default: no limit.")] | None = None
    weekly: Annotated[str, money("Most in a week from Monday, in US dollars; default: no limit.")] | None = (
        None
    )
    monthly: (
        Annotated[str, money("Most in a month from the 1st, in US dollars; default: no limit.")] | None
    ) = None
    on_exceeded: Annotated[
        OnExceeded,
        Meta(
            description="What happens above it: Warn (metrics and log only), Downgrade (the cheapest model "
            "that serves) or "
            "Block (an error that names the reset)."
        ),
    ] = OnExceeded.WARN


class Consumer(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """A caller known by its API key."""

    name: Annotated[
        str,
        text(
            "Name of the caller in metrics, costs and logs; unique within the profile.",
            at_most=63,
            pattern=DNS_LABEL,
        ),
    ]
    tier: Annotated[
        str,
        text(
            "Class of service that the caller belongs to, for reports and alerts.",
            at_most=63,
            pattern=DNS_LABEL,
        ),
    ] = "standard"
    key_secret_ref: Annotated[SecretRef, Meta(description="The Secret that holds the caller's API key.")]
    rate_limit: (
        Annotated[ConsumerRateLimit, Meta(description="How much the caller may ask; default: no limit.")]
        | None
    ) = None
    budget: (
        Annotated[Budget, Meta(description="How much the caller may spend; default: no limit.")] | None
    ) = None
    admin: Annotated[
        bool, Meta(description="Whether the caller may use the operations that change things, on a gateway.")
    ] = False


class Limits(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What one sidecar takes from its callers."""

    max_body_bytes: Annotated[
        int, whole("Largest request body, in bytes; larger ones get 413.", at_least=1024, at_most=1024**3)
    ] = 32 * 1024 * 1024
    max_concurrent_requests: Annotated[
        int, whole("Most requests in flight; further ones get 503.", at_least=1, at_most=100_000)
    ] = 1000
    max_header_bytes: Annotated[
        int,
        whole("Largest request head, in bytes; larger ones get 431.", at_least=1024, at_most=1024**2),
    ] = 32 * 1024


class CondensationSpec(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What to do with requests that exceed a model's context window."""

    mode: Annotated[
        Condensation,
        Meta(
            description="None (the caller gets the error), LargerModel (another model with a larger window) "
            "or DropOldest "
            "(leave out the oldest messages)."
        ),
    ] = Condensation.NONE
    keep_messages: Annotated[
        int,
        whole(
            "With DropOldest: newest messages that are always kept, besides the system prompt.",
            at_least=1,
            at_most=1000,
        ),
    ] = 10


class LogFile(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """The log's copy in a file of the sidecar's log folder."""

    enabled: Annotated[
        bool, Meta(description="Whether the log is also written to a file of the sidecar's log folder.")
    ] = False
    max_bytes: Annotated[
        int, whole("Size at which the file is turned over.", at_least=1_048_576, at_most=10_737_418_240)
    ] = 104_857_600
    max_age: Annotated[
        str,
        timespan(
            "Age at which the file is turned over, and at which files that were are removed.",
            at_least="1m",
            at_most="8760h",
        ),
    ] = "168h"
    max_backups: Annotated[
        int, whole("Files that are kept besides the one that is written.", at_least=0, at_most=100)
    ] = 5


class Logging(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """What the sidecars log; never prompts or keys."""

    level: Annotated[
        LogLevel, Meta(description="Least severe line that is written: debug, info, warning or error.")
    ] = LogLevel.INFO
    format: Annotated[
        LogFormat, Meta(description="How a line is written: json (for machines) or text (for people).")
    ] = LogFormat.JSON
    file: Annotated[LogFile, Meta(description="A copy of the log in a file; stdout stays.")] = LogFile()


class Tracing(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Where traces go."""

    endpoint: Annotated[
        str,
        text(
            "Address of an OTLP/HTTP receiver, such as http://collector:4318.", at_most=2048, pattern=HTTP_URL
        ),
    ]
    sample_rate: Annotated[
        float, ratio("Share of requests that are traced, 0 to 1; failed ones always are.")
    ] = 0.1


class Abort(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """An error in the provider's stead."""

    status: Annotated[int, whole("HTTP status that the provider seems to answer.", at_least=400, at_most=599)]
    percent: Annotated[int, whole("Share of attempts that fail so, in percent.", at_least=1, at_most=100)] = (
        100
    )


class Delay(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """A slow provider."""

    duration: Annotated[str, timespan("Pause before an attempt.", at_least="1ms", at_most="5m")]
    percent: Annotated[
        int, whole("Share of attempts that are slow, in percent.", at_least=1, at_most=100)
    ] = 100


class FaultInjection(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Faults made on purpose, for drills."""

    until: Annotated[str, instant("When it ends by itself, such as 2026-11-30T12:00:00Z.")]
    provider: Annotated[str, text("Provider that seems to fail; default: all.", at_most=253)] | None = None
    abort: Annotated[Abort, Meta(description="Answer with an error in the provider's stead.")] | None = None
    delay: Annotated[Delay, Meta(description="Wait before asking the provider.")] | None = None
