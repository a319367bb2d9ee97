"""Faults made on purpose (`faultInjection` of a ProxyProfile): delays, and answers in a provider's stead.

Put round a provider's client only if the profile has a drill for it, so it costs nothing otherwise. What
follows from a fault (retry, failover, cooldown, alerts) is what follows from a true one; that is the point.
"""

import asyncio
from typing import Final

from msgspec import structs

from cliproxy_api.chance import Chance
from cliproxy_api.snapshot import Drill, Timeouts
from cliproxy_sidecar.core.outcome import TransportError, TransportFault
from cliproxy_sidecar.proxy.upstream import (
    Connections,
    RawHeaders,
    Upstream,
    UpstreamFailed,
    UpstreamRequest,
    UpstreamResponse,
)
from cliproxy_sidecar.runtime.clock import unix_now_s
from cliproxy_sidecar.runtime.light import in_task

_BODY: Final = (
    b'{"type":"error","error":{"type":"fault_injected","code":"fault_injected",'
    b'"message":"made on purpose by faultInjection of the ProxyProfile"}}'
)
"""An error as both OpenAI's and Anthropic's clients read it."""
_HEADERS: Final[RawHeaders] = ((b"content-type", b"application/json"),)


def drilled(upstream: Upstream, drill: Drill | None, provider: str, chance: Chance) -> Upstream:
    """Return the client to use for a provider (by name): itself, or one that the drill has its way with."""
    if drill is None or (drill.provider and drill.provider != provider):
        return upstream
    return DrilledUpstream(upstream, drill, chance)


class DrilledUpstream:
    """A provider's client during a drill; after the drill's end it is that client."""

    def __init__(self, inner: Upstream, drill: Drill, chance: Chance) -> None:
        self._inner = inner
        self._drill = drill
        self._chance = chance

    async def send(self, request: UpstreamRequest, timeouts: Timeouts) -> UpstreamResponse:
        """Send the request, unless the drill answers; a delay counts against the time-outs."""
        drill = self._drill
        if unix_now_s() >= drill.until_unix_s:
            return await self._inner.send(request, timeouts)
        if drill.delay_s and self._hits(drill.delay_percent):
            timeouts = await self._delay(drill.delay_s, timeouts)
        if drill.status and self._hits(drill.status_percent):
            return Pretended(drill.status)
        return await self._inner.send(request, timeouts)

    def connections(self) -> dict[str, Connections] | None:
        """Return the provider's connections."""
        return self._inner.connections()

    async def aclose(self) -> None:
        """Close nothing: the connections are the provider's line's, which outlasts the drill."""

    def _hits(self, percent: int) -> bool:
        return self._chance.random() * 100 < percent

    async def _delay(self, delay_s: float, timeouts: Timeouts) -> Timeouts:
        first_byte = timeouts.first_byte_s <= timeouts.total_s
        patience_s = timeouts.first_byte_s if first_byte else timeouts.total_s
        await in_task()
        await asyncio.sleep(min(delay_s, patience_s))
        if delay_s >= patience_s:
            kind: TransportFault = "first_byte_timeout" if first_byte else "total_timeout"
            raise UpstreamFailed(TransportError(kind, f"no answer within {patience_s:g} s (fault injection)"))
        return structs.replace(
            timeouts, first_byte_s=timeouts.first_byte_s - delay_s, total_s=timeouts.total_s - delay_s
        )


class Pretended:
    """An error answer that no provider gave."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: RawHeaders = _HEADERS
        self._rest = _BODY

    async def read(self) -> bytes:
        """Return the body, then b""."""
        rest, self._rest = self._rest, b""
        return rest

    def whole(self, at_most_bytes: int) -> bytes | None:
        """Return the body."""
        del at_most_bytes
        return self._rest

    def close(self) -> None:
        """Let go of nothing."""
