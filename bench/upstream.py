"""Measure the upstream clients side by side: requests per second and CPU per request at one scripted server.

    .venv/bin/python bench/upstream.py [--seconds 3] [--rounds 3]

Each client runs alone in a fresh process on one core, the server (uvloop and httptools, answers of about
1 KB) on another. Closed loop: every connection sends its next request when it has read the answer. Rounds
take turns and the best of each is shown, as other work on the machine only ever takes away. Prints a Markdown
table.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import time
from typing import Final

import httptools
import uvloop

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_sidecar.proxy.upstream import Upstream, UpstreamRequest
from cliproxy_sidecar.settings import UpstreamKind
from cliproxy_sidecar.wiring import dial_of

CLIENTS: Final = ("aiohttp", "engine")
BODY: Final = b'{"model":"gpt-4o","messages":[{"role":"user","content":"' + b"x" * 900 + b'"}]}'
ANSWER: Final = b'{"id":"chatcmpl-1","choices":[{"message":{"content":"' + b"y" * 900 + b'"}}]}'
HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 11:00:00 GMT\r\ncontent-type: application/json\r\n"
    b"x-request-id: req_0123456789\r\nx-ratelimit-remaining-requests: 4999\r\n"
    b"x-ratelimit-remaining-tokens: 149000\r\nopenai-processing-ms: 12\r\nserver: bench\r\n"
)
EVENT: Final = b'data: {"id":"chatcmpl-1","choices":[{"delta":{"content":"' + b"z" * 100 + b'"}}]}\n\n'
EVENTS: Final = 200
"""Chunks of one streamed answer."""
HEADERS: Final = (
    (b"user-agent", b"openai/1.60"),
    (b"accept", b"application/json"),
    (b"content-type", b"application/json"),
    (b"x-stainless-lang", b"python"),
    (b"x-stainless-os", b"Linux"),
    (b"authorization", b"Bearer sk-test-0123456789"),
    (b"accept-encoding", b"identity"),
)
TIMEOUTS: Final = Timeouts()


class Server(asyncio.Protocol):
    """Answers every request: a whole body, or on /stream a chunked one."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Keep the address."""
        self._url = url

    def on_message_complete(self) -> None:
        """Answer."""
        write = self._transport.write  # type: ignore[attr-defined]
        if self._url != b"/stream":
            write(HEAD + b"content-length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
            return
        write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        self._send_event(EVENTS)

    def _send_event(self, left: int) -> None:
        """One chunk in each turn of the loop, so that they arrive one by one."""
        if left == 0:
            self._transport.write(b"0\r\n\r\n")  # type: ignore[attr-defined]
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))  # type: ignore[attr-defined]
        asyncio.get_running_loop().call_soon(self._send_event, left - 1)


async def serve() -> None:
    """Serve until standard input ends; the port goes to standard output."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


async def work(client: Upstream, request: UpstreamRequest, until: float) -> tuple[int, int]:
    """Send requests until the time is up; return how many, and how many pieces of body came."""
    done = pieces = 0
    while time.perf_counter() < until:
        response = await client.send(request, TIMEOUTS)
        while await response.read():
            pieces += 1
        response.close()
        done += 1
    return done, pieces


async def load(name: UpstreamKind, port: int, path: str, connections: int, seconds: float) -> None:
    """Run one client; print requests, seconds, CPU seconds, pieces and resident kilobytes."""
    client = dial_of(name)(ConnectionPool(max_connections=connections))
    request = UpstreamRequest("POST", f"http://127.0.0.1:{port}{path}", HEADERS, BODY)
    await asyncio.gather(*(work(client, request, time.perf_counter() + 0.3) for _ in range(connections)))
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    counts = await asyncio.gather(*(work(client, request, started + seconds) for _ in range(connections)))
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    await client.aclose()
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(sum(done for done, _ in counts), took, cpu_s, sum(pieces for _, pieces in counts), after.ru_maxrss)


def pin(core: int) -> None:
    """Stay on one core, if there are several."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def measure(name: str, port: int, path: str, connections: int, seconds: float) -> dict[str, float]:
    """Run one client in a process of its own."""
    command = [sys.executable, __file__, "--load", name, path, str(port), str(connections), str(seconds)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    done, took, cpu_s, pieces, resident_kb = map(float, printed.stdout.split())
    return {
        "requests/s": done / took,
        "CPU us/request": cpu_s / done * 1e6,
        "CPU us/chunk": cpu_s / max(pieces, 1) * 1e6,
        "resident MB": resident_kb / 1024,
    }


def table(port: int, seconds: float, rounds: int) -> None:
    """Measure everything and print."""
    print("| load | client | requests/s | CPU µs/request | resident MB |\n|---|---|---|---|---|")
    for path, connections in (("/whole", 1), ("/whole", 32), ("/stream", 1), ("/stream", 32)):
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
        for _ in range(rounds):
            for name, results in runs.items():
                results.append(measure(name, port, path, connections, seconds))
        for name, results in runs.items():
            rate = max(result["requests/s"] for result in results)
            cpu, chunk, resident = (
                min(result[column] for result in results)
                for column in ("CPU us/request", "CPU us/chunk", "resident MB")
            )
            what = f"stream of {EVENTS} chunks" if path == "/stream" else "1 KB"
            note = f" ({chunk:.1f} per piece read)" if path == "/stream" else ""
            print(
                f"| {what}, {connections} connections | {name} "
                f"| {rate:,.0f} | {cpu:,.0f}{note} | {resident:.0f} |",
                flush=True,
            )


def main() -> None:
    """Take a part: the server, one client's load, or the whole comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--load", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if arguments.serve:
            pin(0)
            runner.run(serve())
            return
        if arguments.load:
            pin(1)
            name, path, port, connections, seconds = arguments.load
            runner.run(load(name, int(port), path, int(connections), float(seconds)))
            return
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        with contextlib.closing(server.stdin):
            table(int(server.stdout.readline()), arguments.seconds, arguments.rounds)


if __name__ == "__main__":
    main()
