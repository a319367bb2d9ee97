"""A program that runs the sidecar's data path without sockets, for counting instructions.

    python -m gateways.inside COUNT requests headers paced flood

Caller and provider are objects in the same process whose transports hand bytes over; all between them is what
runs in a pod: three providers, cooldown machines, usage, metrics, decisions, log lines. Before each kind a
line "ready" is printed and one is read, so that whoever counts can begin; behind it, one more.
"""

import asyncio
import gc
import io
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

import uvloop

from cliproxy_api import codec
from cliproxy_sidecar.__main__ import GC_THRESHOLDS
from cliproxy_sidecar.proxy.h1 import client
from cliproxy_sidecar.proxy.h1.connection import Connection
from cliproxy_sidecar.proxy.h1.dial import Origin
from cliproxy_sidecar.proxy.server.connection import CallerConnection
from cliproxy_sidecar.runtime.logs import Logs
from cliproxy_sidecar.settings import read_settings
from cliproxy_sidecar.wiring import Sidecar
from gateways import ours, payload
from gateways.launch import CHAT_PATH

_WARM: Final = 60
_PATIENCE: Final = 10_000
"""Turns of the loop until a provider is asked."""
_BURST: Final = 40
"""Tokens that come in one read of a flood."""
_SDK_HEADERS: Final = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "authorization": "Bearer none",
    "connection": "keep-alive",
    "user-agent": "OpenAI/Python 2.8.0",
    "x-stainless-arch": "x64",
    "x-stainless-async": "async:asyncio",
    "x-stainless-lang": "python",
    "x-stainless-os": "Linux",
    "x-stainless-package-version": "2.8.0",
    "x-stainless-read-timeout": "600",
    "x-stainless-retry-count": "0",
    "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.11.2",
}
_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n"
) % len(payload.answer()) + payload.answer()
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_STREAM_END: Final = b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload.LAST_CHUNKS), payload.LAST_CHUNKS)


Run = Callable[[], Coroutine[Any, Any, None]]
"""What is counted; all that it needs is there before."""


class Line:
    """A transport whose other end is this program; what is written to it is only counted."""

    def __init__(self) -> None:
        self.written_bytes = 0
        self.last = b""

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.written_bytes += len(data)
        self.last = data

    def get_write_buffer_size(self) -> int:
        """All is taken at once."""
        return 0

    def get_extra_info(self, _: str) -> tuple[str, int]:
        """Return an address."""
        return ("127.0.0.1", 1)

    def pause_reading(self) -> None:
        """Go on."""

    def resume_reading(self) -> None:
        """Go on."""

    def abort(self) -> None:
        """Stay."""

    close = abort


class Dialler:
    """Opens connections to nobody."""

    opened: Final[list[Connection]] = []

    def __init__(self, origin: Origin, context: Any) -> None:
        del origin, context

    async def dial(self) -> Connection:
        """Return a connection to a `Line`."""
        connection = Connection(asyncio.get_running_loop())
        connection.connection_made(cast("asyncio.Transport", Line()))
        self.opened.append(connection)
        return connection


class Rig:
    """The sidecar, one caller, and whoever of the providers' connections is asked."""

    def __init__(self) -> None:
        settings = read_settings({"CLIPROXY_STANDALONE": "1", "POD_NAMESPACE": "bench"})
        self._sidecar = Sidecar(settings, Logs(io.BytesIO()))
        self._sidecar.snapshots.offer_snapshot(codec.encode(ours.snapshot_push("http://127.0.0.1:9")))
        self._sidecar.logs.writer.attach(asyncio.get_running_loop())
        self._caller = CallerConnection(self._sidecar.listener)
        self._line = Line()
        self._caller.connection_made(cast("asyncio.Transport", self._line))

    async def asked(self, request: bytes) -> Connection:
        """Send a request; return the connection on which the sidecar has asked a provider."""
        for connection in Dialler.opened:
            cast("Line", connection._transport).last = b""  # noqa: SLF001 -- our own stand-in
        self._caller.data_received(request)
        for _ in range(_PATIENCE):
            for connection in Dialler.opened:
                # The sidecar's own probes ask too, at times of their own; nobody answers those.
                if cast("Line", connection._transport).last.startswith(b"POST"):  # noqa: SLF001
                    return connection
            await asyncio.sleep(0)
        raise RuntimeError(f"nobody was asked; the caller got {self._line.last[:300]!r}")

    def requests(self, count: int, headers: dict[str, str]) -> Run:
        """Let so many requests pass."""
        request = payload.request(CHAT_PATH, payload.body(), headers)

        async def run() -> None:
            for _ in range(count):
                (await self.asked(request)).data_received(_ANSWER)
            if not self._line.last.endswith(payload.answer()):
                raise RuntimeError("the answer did not come through")

        return run

    def tokens(self, count: int, at_once: int) -> Run:
        """Let so many tokens of one stream pass, some of them in one read."""
        request = payload.request(CHAT_PATH, payload.body(stream_tokens=payload.PACED_TOKENS), {})
        events = [payload.token(1_760_000_000.0 + number) for number in range(count)]
        pieces = [b"%x\r\n%b\r\n" % (len(event), event) for event in events]
        reads = [b"".join(pieces[start : start + at_once]) for start in range(0, count, at_once)]

        async def run() -> None:
            provider = await self.asked(request)
            provider.data_received(_STREAM_HEAD)
            before = self._line.written_bytes
            for read in reads:
                provider.data_received(read)
            if self._line.written_bytes - before < sum(map(len, events)):
                raise RuntimeError("the tokens did not come through")
            provider.data_received(_STREAM_END)

        return run

    async def close(self) -> None:
        """Take everything apart."""
        self._sidecar.logs.writer.attach(None)
        await self._sidecar.tasks.stop()


async def main(count: int, kinds: list[str]) -> None:
    """Warm up, then run each kind."""
    vars(client)["Dialler"] = Dialler
    rig = Rig()
    runs: dict[str, Callable[[int], Run]] = {
        "requests": lambda count: rig.requests(count, {}),
        "headers": lambda count: rig.requests(count, _SDK_HEADERS),
        "paced": lambda count: rig.tokens(count, 1),
        "flood": lambda count: rig.tokens(count, _BURST),
    }
    # Every provider has its connection then, and no request needs a task any more.
    await rig.requests(_WARM, {})()
    for kind in kinds:
        await runs[kind](_WARM)()
    prepared = [runs[kind](count) for kind in kinds]
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    for run in prepared:
        _meet()
        await run()
    _meet()
    await rig.close()


def _meet() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2:]))
