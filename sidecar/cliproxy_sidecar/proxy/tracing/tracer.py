"""Decides at a request's begin whether it is recorded, and in the end makes the span.

Made once per snapshot that has tracing; what becomes of finished spans is `exporter`'s.
"""

from collections.abc import Sequence

from cliproxy_api.chance import Chance
from cliproxy_api.snapshot import Snapshot
from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.core.tracing.context import TraceContext, context_of, parent_line, with_parent
from cliproxy_sidecar.core.tracing.names import ProviderNames, provider_names
from cliproxy_sidecar.core.tracing.spans import Encoder, Finished, Identity
from cliproxy_sidecar.core.tracing.told import NOTHING
from cliproxy_sidecar.proxy.downstream import Sink
from cliproxy_sidecar.proxy.tracing.exporter import Exporter
from cliproxy_sidecar.proxy.tracing.watch import Watch
from cliproxy_sidecar.runtime.clock import random_bytes, unix_now_s


class Span:
    """One request that was chosen at its begin."""

    __slots__ = ("_fresh", "identity", "line", "watch")

    def __init__(self, parent: TraceContext | None) -> None:
        ids = random_bytes(24)
        self._fresh = parent is None
        trace_id, span_id = (ids[:16] if parent is None else parent.trace_id), ids[16:]
        self.identity = Identity(
            trace_id,
            span_id,
            b"" if parent is None else parent.span_id,
            b"" if parent is None else parent.state,
        )
        self.line = parent_line(trace_id, span_id, 0 if parent is None else parent.flags)
        self.watch: Watch | None = None
        """What reads the answer."""

    def carried(self, block: bytes) -> bytes:
        """Return the headers for a provider so that its part of the trace hangs below this span."""
        return with_parent(block, self.line, fresh=self._fresh)

    def watching(self, sink: Sink) -> Sink:
        """Return a sink that passes an answer on and notes what it says about itself."""
        self.watch = Watch(sink)
        return self.watch


class Tracer:
    """What one snapshot's requests are traced by."""

    def __init__(
        self, snapshot: Snapshot, rate: float, exporter: Exporter, chance: Chance, secrets: tuple[bytes, ...]
    ) -> None:
        self._rate = rate
        self._exporter = exporter
        self._chance = chance
        self._secrets = secrets
        self._encoder = Encoder()
        self._names: dict[str | None, ProviderNames] = {
            provider.name: provider_names(provider) for provider in snapshot.providers
        }

    def begin(self, headers: Sequence[Header]) -> Span | None:
        """Return the request's span if it is to be recorded whatever happens.

        A caller's own decision is followed; who sends none is chosen by the profile's rate.
        """
        for name, _ in headers:
            if name == b"traceparent":
                parent = context_of(headers)
                if parent is None:
                    break
                return Span(parent) if parent.sampled else None
        return Span(None) if self._chance.random() < self._rate else None

    def end(self, span: Span | None, request: Request, done: Finished) -> str | None:
        """Record a finished request; without a span because it has failed. Returns its trace's id, in hex.

        None: there was no room, so it is counted only.
        """
        exporter = self._exporter
        if exporter.is_full:
            exporter.dropped()
            return None
        told = NOTHING
        if span is not None:
            identity = span.identity
            if span.watch is not None:
                told = span.watch.ends.told(self._secrets)
        else:
            parent, ids = context_of(request.headers), random_bytes(24)
            identity = Identity(
                ids[:16] if parent is None else parent.trace_id,
                ids[16:],
                b"" if parent is None else parent.span_id,
                b"" if parent is None else parent.state,
                sampled=False,
            )
        done.names = self._names.get(done.provider)
        exporter.offer(self._encoder.encode(done, identity, ended_unix_ns=int(unix_now_s() * 1e9), told=told))
        return identity.trace_id.hex()
