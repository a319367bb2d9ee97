"""Decides at a request's begin whether it is recorded, and in the end makes the span.

Made once per snapshot that has tracing; what becomes of finished spans is `exporter`'s.
"""

from collections.abc import Sequence

from cliproxy_api.chance import Chance
from cliproxy_api.snapshot import Snapshot
from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.core.tracing.context import context_of, declines
from cliproxy_sidecar.core.tracing.names import provider_names
from cliproxy_sidecar.core.tracing.spans import Account, Encoder, Ended
from cliproxy_sidecar.core.tracing.told import NOTHING, Reader
from cliproxy_sidecar.proxy.tracing.exporter import Exporter
from cliproxy_sidecar.proxy.tracing.span import Span
from cliproxy_sidecar.runtime.clock import unix_now_s


class Tracer:
    """What one snapshot's requests are traced by."""

    def __init__(
        self, snapshot: Snapshot, rate: float, exporter: Exporter, chance: Chance, secrets: tuple[bytes, ...]
    ) -> None:
        self._rate = rate
        self._exporter = exporter
        self._chance = chance
        self._reader = Reader(secrets)
        self._encoder = Encoder({provider.name: provider_names(provider) for provider in snapshot.providers})

    def begin(self, headers: Sequence[Header]) -> Span | None:
        """Return the request's span if it is to be recorded whatever happens.

        A caller's own decision is followed; who sends none is chosen by the profile's rate.
        """
        told: bytes | None = None
        for name, value in headers:
            if name == b"traceparent":
                told = value if told is None else b""  # Two are none.
        if told is not None:
            if declines(told):
                return None
            parent = context_of(headers)
            if parent is not None:
                return Span(parent) if parent.sampled else None
        return Span(None) if self._chance.random() < self._rate else None

    def end(self, account: Account, span: Span | None, request: Request, ended: Ended) -> str | None:
        """Record a finished request; without a span because it has failed. Returns its trace's id, in hex.

        None: there was no room, so it is counted only.
        """
        exporter = self._exporter
        if exporter.is_full:
            exporter.dropped()
            return None
        told, sampled = NOTHING, span is not None
        if span is None:
            span = Span(context_of(request.headers))
        elif span.watch is not None:
            told = span.watch.told(self._reader)
        exporter.offer(
            self._encoder.encode(account, ended, span.place, unix_s=unix_now_s(), told=told, sampled=sampled)
        )
        return span.trace_hex
