"""A provider that costs next to nothing: answers at once, or streams tokens at a pace.

    python provider.py PORT

One process over uvloop and httptools. It is a program of its own, so that it can be pinned to a core.
"""

import asyncio
import json
import sys
from typing import Final

import httptools
import uvloop

from cliproxy_dev.clock import now_s
from gateways import payload

_BURST: Final = 10
"""Tokens of a flood per turn of the loop; each is an HTTP chunk of its own."""
_JSON_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_ANSWER: Final = _JSON_HEAD % len(payload.answer()) + payload.answer()
_MODELS: Final = (
    b'{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","created":1,"owned_by":"bench"}]}'
)
_LIST: Final = _JSON_HEAD % len(_MODELS) + _MODELS
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_STREAM_END: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload.LAST_CHUNKS), payload.LAST_CHUNKS)


class Connection(asyncio.Protocol):
    """One gateway's connection; requests on it come one after the other."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._left = 0
        self._paused = False
        self._gone = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the way back."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """End the stream, if one runs."""
        del exc
        self._gone = True

    def data_received(self, data: bytes) -> None:
        """Feed the parser; whoever talks no HTTP is dropped."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        """Begin a request (a callback of the parser)."""
        self._body.clear()

    def on_body(self, part: bytes) -> None:
        """Keep a part of the body (a callback of the parser)."""
        self._body += part

    def on_message_complete(self) -> None:
        """Answer (a callback of the parser)."""
        if self._parser.get_method() == b"GET":
            self._transport.write(_LIST)
        elif b'"stream":true' not in self._body and b'"stream": true' not in self._body:
            self._transport.write(_ANSWER)
        else:
            self._stream(json.loads(self._body))

    def pause_writing(self) -> None:
        """Stop a flood: the gateway is slower."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on with a flood."""
        self._paused = False
        if self._left:
            self._flood()

    def _stream(self, asked: dict[str, int]) -> None:
        self._left = asked.get("max_tokens") or asked["max_completion_tokens"]
        self._transport.write(_STREAM_HEAD)
        if self._left >= payload.FLOOD_TOKENS:
            self._flood()
        else:
            self._due_s = self._loop.time()
            self._tick()

    def _tick(self) -> None:
        if self._gone:
            return
        self._token()
        self._left -= 1
        if not self._left:
            self._transport.write(_STREAM_END)
            return
        self._due_s += payload.PACE_S
        self._loop.call_at(self._due_s, self._tick)

    def _flood(self) -> None:
        if self._paused or self._gone:
            return
        count = min(_BURST, self._left)
        event = payload.token(now_s())
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event) * count)
        self._left -= count
        if self._left:
            self._loop.call_soon(self._flood)
        else:
            self._transport.write(_STREAM_END)

    def _token(self) -> None:
        event = payload.token(now_s())
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))


async def main(port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
