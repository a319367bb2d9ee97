"""A process with many light sidecars, each on its own loopback address, as kubelet and network would have it.

    python -m fleet.agent NAMESPACE PORT WATCHED   (CLIPROXY_TLS_DIR or CLIPROXY_CONTROL_TOKEN, as sidecars)

Takes commands as JSON lines on stdin and answers each with one on stdout; ends with its stdin, so it outlives
nobody. One server listens on all addresses: which sidecar is meant says the address that was connected to.
"""

import asyncio
import contextlib
import gc
import os
import random
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
import uvloop

from cliproxy_dev.clock import now_s
from cliproxy_sidecar.__main__ import GC_THRESHOLDS
from cliproxy_sidecar.admin.control import Authenticator, BearerToken, OperatorCertificate
from cliproxy_sidecar.controltls import MountedContext, operator_only
from cliproxy_sidecar.runtime.asgi import Receive, Scope, Send
from cliproxy_sidecar.runtime.tasks import Tasks
from cliproxy_sidecar.serverprotocol import Prompt, prompt
from fleet.board import Board
from fleet.light import Light, share_decoding

KEEP_ALIVE_S: Final = 7200
"""As the real control port: the operator is the one to close."""
BUSY_TICK_S: Final = 1.0


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Agent:
    """The light sidecars of one process."""

    def __init__(self, namespace: str, port: int, watched: str, certificates: str, token: str) -> None:
        """`certificates` is the folder that is mounted; "": none, the token counts."""
        self._namespace, self._port, self._watched = namespace, port, watched
        self._tls = MountedContext(Path(certificates)) if certificates else None
        self._authenticator: Authenticator = OperatorCertificate() if certificates else BearerToken(token)
        self._tasks = Tasks()
        self._board = Board()
        self._lights: dict[str, Light] = {}
        self._by_address: dict[str, Light] = {}
        self._busy: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the sidecar of the address that it came to."""
        if scope["type"] == "http":
            await self._by_address[scope["server"][0]].app(scope, receive, send)

    def asked(self, scope: Scope) -> Prompt | None:
        """Return how the sidecar of the address that a request came to answers it at once."""
        return self._by_address[scope["server"][0]].app.asked(scope)

    async def command(self, order: dict[str, Any]) -> Any:
        """Carry out one command and return the answer."""
        match order:
            case {"do": "open", "pods": pods}:
                return self._open(pods)
            case {"do": "when", "event": event, "within_s": within_s}:
                return await self._board.when(event, len(self._lights), within_s)
            case {"do": "429", "pod": pod, "provider": provider, "retry_after_s": retry_after_s}:
                began_s = now_s()
                self._lights[pod].meet_429(provider, retry_after_s)
                return began_s
            case {"do": "recover", "pod": pod, "provider": provider}:
                self._lights[pod].machines.recover(provider, "the benchmark")
                return now_s()
            case {"do": "busy", "providers": providers}:
                return self._work(providers)
        raise ValueError(f"unknown command: {order}")

    def _open(self, pods: dict[str, str]) -> int:
        """Begin to listen on the address of each pod."""
        sockets = []
        for pod, address in pods.items():
            light = self._lights[pod] = self._by_address[address] = Light(
                pod=pod,
                namespace=self._namespace,
                watched=self._watched,
                authenticator=self._authenticator,
                tasks=self._tasks,
                chance=random.SystemRandom(),
                board=self._board,
            )
            assert light.pod == pod
            sockets.append(_listening(address, self._port))
        tls = self._tls
        config = uvicorn.Config(
            self,
            http=prompt(self.asked) if tls is None else operator_only(lambda _peer: None, self.asked),
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._tasks.spawn(_Server(config).serve(sockets=sockets), "server")
        return len(self._lights)

    def _work(self, providers: list[str]) -> int:
        """Let every sidecar serve one request a second from now on; without providers no more."""
        if self._busy is not None:
            self._busy.cancel()
            self._busy = None
        if providers:
            self._busy = self._tasks.spawn(self._serve(providers), "traffic")
        return len(providers)

    async def _serve(self, providers: list[str]) -> None:
        turn = 0
        while True:
            for light in list(self._lights.values()):
                turn += 1
                light.serve_one(providers[turn % len(providers)], 200 + turn % 300)
            await asyncio.sleep(BUSY_TICK_S)


def _listening(address: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((address, port))
    bound.listen(16)
    bound.setblocking(False)  # noqa: FBT003 -- the standard library's signature
    return bound


async def _main(namespace: str, port: str, watched: str) -> None:
    known = os.environ.get("CLIPROXY_TLS_DIR", ""), os.environ.get("CLIPROXY_CONTROL_TOKEN", "")
    agent = Agent(namespace, int(port), watched, *known)
    reader = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        answer = await agent.command(msgspec.json.decode(line))
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
    os._exit(0)  # what is left are servers and probes, and nobody to tell


if __name__ == "__main__":
    share_decoding()
    gc.freeze()  # as a sidecar does
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(*sys.argv[1:]))
