"""The parts of an LLMProvider that say how it is treated: time-outs, retries, limits, probes, connections."""

from typing import Annotated

import msgspec
from msgspec import Meta

from cliproxy_api.resources.common import (
    items,
    text,
    timespan,
    whole,
    wire_name,
)
from cliproxy_api.vocabulary import (
    HealthCheckMode,
    ProbeMethod,
)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How long one attempt may take; a caller's own shorter deadline wins."""

    connect: Annotated[
        str,
        timespan("Longest wait for a connection, TLS handshake included.", at_least="1ms", at_most="5m"),
    ] = "5s"
    first_byte: Annotated[
        str,
        timespan(
            "Longest wait from the sent request to the first byte of the answer.",
            at_least="1ms",
            at_most="1h",
        ),
    ] = "60s"
    idle: Annotated[
        str, timespan("Longest silence between two parts of an answer.", at_least="1ms", at_most="1h")
    ] = "60s"
    total: Annotated[
        str,
        timespan(
            "Longest time for one attempt from start to end, streaming included.",
            at_least="1ms",
            at_most="24h",
        ),
    ] = "10m"


class Retries(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """How often this provider is asked again before the next one is."""

    attempts: Annotated[
        int,
        whole("Attempts at this provider for one request, the first one included.", at_least=1, at_most=10),
    ] = 2
    backoff: Annotated[
        str,
        timespan(
            "Pause before the second attempt; doubles with each further one and is jittered.",
            at_least="0s",
            at_most="1m",
        ),
    ] = "200ms"


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Limits of our own, kept below the provider's so that it never has to say no."""

    requests_per_minute: (
        Annotated[
            int, whole("Most requests in a minute, fleet-wide; default: no limit.", at_least=1, at_most=10**9)
        ]
        | None
    ) = None
    tokens_per_minute: (
        Annotated[
            int,
            whole(
                "Most input and output tokens in a minute, fleet-wide; default: no limit.",
                at_least=1,
                at_most=10**12,
            ),
        ]
        | None
    ) = None
    max_concurrent: (
        Annotated[
            int, whole("Most requests in flight, fleet-wide; default: no limit.", at_least=1, at_most=10**6)
        ]
        | None
    ) = None


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """The active, unbilled probe; one sidecar of the fleet sends it."""

    enabled: Annotated[bool, Meta(description="Whether the provider is probed at all.")] = True
    interval: Annotated[str, timespan("Time between two probes.", at_least="1s", at_most="24h")] = "30s"
    timeout: Annotated[
        str,
        timespan("Longest wait for a probe's answer; later counts as failed.", at_least="10ms", at_most="5m"),
    ] = "10s"
    unhealthy_threshold: Annotated[
        int,
        whole("Failed probes in a row after which the provider is unhealthy.", at_least=1, at_most=100),
    ] = 3
    healthy_threshold: Annotated[
        int,
        whole(
            "Passed probes in a row after which an unhealthy provider is healthy again.",
            at_least=1,
            at_most=100,
        ),
    ] = 2
    path: (
        Annotated[
            str,
            text(
                "Path that is asked for, relative to baseURL; default: the type's list of models, such as "
                "/models.",
                at_most=1024,
                pattern=r"^/[^\s#]*$",
            ),
        ]
        | None
    ) = None
    method: Annotated[ProbeMethod, Meta(description="HTTP method of the probe: GET or HEAD.")] = (
        ProbeMethod.GET
    )
    expected_statuses: Annotated[
        tuple[Annotated[int, whole("One HTTP status.", at_least=100, at_most=599)], ...],
        items(
            "HTTP statuses that pass; default: every status below 500 other than 401 and 403.",
            at_most=32,
        ),
    ] = ()
    mode: Annotated[
        HealthCheckMode, Meta(description="What is tried: http (a request) or tcp (a connection only).")
    ] = HealthCheckMode.HTTP


class ConnectionPool(msgspec.Struct, frozen=True, kw_only=True, rename=wire_name):
    """Connections from one sidecar to the provider."""

    max_connections: Annotated[
        int, whole("Most connections from one sidecar to this provider.", at_least=1, at_most=10_000)
    ] = 100
    max_idle_connections_per_host: Annotated[
        int, whole("Most idle connections that one sidecar keeps for reuse.", at_most=10_000)
    ] = 10
    idle_timeout: Annotated[
        str, timespan("How long an idle connection is kept for reuse.", at_least="1s", at_most="1h")
    ] = "90s"
    http2: Annotated[
        bool,
        Meta(
            description="Whether HTTP/2 is offered to the provider. No effect in this version: HTTP/1.1 is "
            "spoken; raise maxConnections where connections are short."
        ),
    ] = False
