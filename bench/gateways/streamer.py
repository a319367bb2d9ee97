"""A program that holds many streams open and says when their tokens came, as JSON.

    python -m gateways.streamer PORT REQUEST_FILE STREAMS SECONDS STAGGER_S

Every token carries the instant at which the provider wrote it (`payload.STAMP`), so what lies between is
known for each without the streams knowing of each other. What came while the streams began one after the
other does not count. STAGGER_S of 0: all begin at once and tokens are only counted, which costs this program
the least.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from cliproxy_dev.clock import now_s
from gateways import payload
from gateways.figures import Streaming
from gateways.percentiles import percentile_us

_CHUNKED_END: Final = b"0\r\n\r\n"
_KEPT_BYTES: Final = 512
"""Of what was read: more than a stamp or an end that is split over two reads."""


class Tally:
    """What all streams of a run have seen."""

    def __init__(self, counted_from_s: float, *, timed: bool) -> None:
        self.counted_from_s = counted_from_s
        self.timed = timed
        self.marks = 0
        """Two stand around every stamp."""
        self.streams = 0
        self.broken = 0
        self.first: list[float] = []
        self.token: list[float] = []


class Stream(asyncio.Protocol):
    """One connection, on which one stream follows the other."""

    def __init__(self, request: bytes, tally: Tally, gone: "asyncio.Future[None]") -> None:
        self._request, self._tally, self._gone = request, tally, gone
        self._kept = b""
        self._first = True
        self._ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the first stream."""
        self._transport = transport
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that the connection is gone; inside a stream it broke."""
        del exc
        if not self._gone.done():
            self._gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Read the stamps."""
        tally, kept = self._tally, self._kept + data
        tally.marks += data.count(payload.MARKS)
        read_to = self._read(kept) if tally.timed else 0
        if not self._ended:
            self._ended = any(end in kept for end in payload.STREAM_ENDS)
        self._kept = kept[max(read_to, len(kept) - _KEPT_BYTES) :]
        if kept.startswith(b"HTTP/1.1 ") and b" 200 " not in kept[:16]:
            tally.broken += 1
            self._transport.close()
        elif self._ended and kept.endswith(_CHUNKED_END):
            tally.streams += 1
            self._begin()

    def _read(self, kept: bytes) -> int:
        """Take the time of every stamp; return where the last one ends."""
        at_s, read_to = now_s(), 0
        for stamp in payload.STAMP.finditer(kept):
            read_to = stamp.end()
            self._take(at_s, float(stamp[1]))
        return read_to

    def _take(self, at_s: float, sent_s: float) -> None:
        tally = self._tally
        if at_s >= tally.counted_from_s:
            tally.token.append(at_s - sent_s)
            if self._first:
                tally.first.append(at_s - self._asked_s)
        self._first = False

    def _begin(self) -> None:
        self._kept, self._first, self._ended = b"", True, False
        self._asked_s = now_s()
        self._transport.write(self._request)


async def one(port: int, request: bytes, tally: Tally, after_s: float) -> None:
    """Keep one connection streaming until cancelled; a connection that breaks is counted and replaced."""
    await asyncio.sleep(after_s)
    loop = asyncio.get_running_loop()
    while True:
        gone: asyncio.Future[None] = loop.create_future()
        transport, _ = await loop.create_connection(
            lambda gone=gone: Stream(request, tally, gone),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        try:
            await gone
        finally:
            transport.close()
        tally.broken += 1
        await asyncio.sleep(0.1)


async def run(port: int, request: bytes, streams: int, seconds: float, stagger_s: float) -> Streaming:
    """Stream for so long and return what was measured."""
    begin_s = now_s()
    tally = Tally(begin_s + stagger_s, timed=stagger_s > 0)
    starts = [stagger_s * number / streams for number in range(streams)]
    running = [asyncio.ensure_future(one(port, request, tally, start_s)) for start_s in starts]
    await asyncio.sleep(seconds)
    took_s = now_s() - begin_s
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    first, token = sorted(tally.first), sorted(tally.token)
    return Streaming(
        tokens=tally.marks // 2,
        seconds=took_s,
        streams=tally.streams,
        broken=tally.broken,
        first_p50_us=percentile_us(first, 50),
        first_p99_us=percentile_us(first, 99),
        token_p50_us=percentile_us(token, 50),
        token_p99_us=percentile_us(token, 99),
    )


def main(port: str, request_file: str, streams: str, seconds: str, stagger_s: str) -> None:
    """Run and print."""
    request = Path(request_file).read_bytes()
    measured = uvloop.run(run(int(port), request, int(streams), float(seconds), float(stagger_s)))
    print(msgspec.json.encode(measured).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
