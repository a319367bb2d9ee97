"""A program that sends requests as fast as they are answered: stands in for wrk where that cannot be had.

    python -m gateways.hammer PORT REQUEST_FILE CONNECTIONS SECONDS

Prints what our script for wrk prints. It takes more CPU than wrk, so a fast gateway may outrun it.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from cliproxy_dev.clock import now_s
from gateways import wrk
from gateways.answers import Answer
from gateways.percentiles import percentile_us

_OK: Final = range(200, 400)


class Tally:
    """What all connections have seen."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.failed = 0


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, tally: Tally) -> None:
        self._request, self._tally = request, tally
        self._answer = Answer()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Send the first request."""
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it; a gateway that drops connections has failed."""
        if exc is not None:
            self._tally.failed += 1

    def data_received(self, data: bytes) -> None:
        """Send the next one when the answer is complete."""
        if self._answer.feed(data):
            self._tally.took.append(now_s() - self._sent_s)
            self._tally.failed += self._answer.status not in _OK
            self._send()

    def _send(self) -> None:
        self._sent_s = now_s()
        self._transport.write(self._request)


async def run(port: int, request: bytes, connections: int, seconds: float) -> wrk.Summary:
    """Send for so long and return what was measured."""
    loop, tally = asyncio.get_running_loop(), Tally()
    begin_s = now_s()
    opened = [
        await loop.create_connection(lambda: Caller(request, tally), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    duration_us = (now_s() - begin_s) * 1e6
    for transport, _ in opened:
        transport.close()
    took = sorted(tally.took)
    return wrk.Summary(
        requests=len(took),
        duration_us=duration_us,
        p50_us=percentile_us(took, 50),
        p99_us=percentile_us(took, 99),
        failed=tally.failed,
    )


def main(port: str, request_file: str, connections: str, seconds: str) -> None:
    """Run and print."""
    request = Path(request_file).read_bytes()
    summary = uvloop.run(run(int(port), request, int(connections), float(seconds)))
    print(wrk.MARK + msgspec.json.encode(summary).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
