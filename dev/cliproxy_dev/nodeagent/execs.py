"""What the API server asks of a kubelet for `kubectl exec`: a command in a pod, its streams over a WebSocket.

Knows the protocols v4 and v5.channel.k8s.io without a terminal. API servers before 1.30 pass kubectl's
WebSocket on to the kubelet as it is; later ones would ask for SPDY here, which is refused. What a command
sees of its pod is `pod`'s; the port and its certificate are those of `logs`.
Source: kubernetes.io, KEP-4006 "Transition from SPDY to WebSockets"; k8s.io/apimachinery
pkg/util/remotecommand/constants.go, read 2026-11-21.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import WSMsgType, web

from cliproxy_dev.kube import Json
from cliproxy_dev.nodeagent.environment import Unresolvable
from cliproxy_dev.process import tethered

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
CHUNK_BYTES: Final = 32 * 1024

Inside = Callable[[str, str, str, list[str]], Awaitable[tuple[list[str], Mapping[str, str]]]]
"""Namespace, pod, container and words to the command line and its environment. Raises `Unresolvable`."""


class Execs:
    """Runs commands in pods."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside

    def serve(self, router: web.UrlDispatcher) -> None:
        """Answer on a kubelet's paths."""
        router.add_get("/exec/{namespace}/{pod}/{container}", self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("tty") in {"1", "true"}:
            return web.Response(status=400, text="the local node agent has no terminals; leave -t out\n")
        namespace, pod, container = (request.match_info[part] for part in ("namespace", "pod", "container"))
        socket = web.WebSocketResponse(protocols=PROTOCOLS)
        await socket.prepare(request)
        try:
            wanted = [str(word) for word in request.query.getall("command")]
            words, env = await self._inside(namespace, pod, container, wanted)
            status = await _run(socket, words, env)
        except (Unresolvable, OSError) as error:
            status = {"status": "Failure", "reason": "InternalError", "message": str(error)}
        with contextlib.suppress(ConnectionError):
            await socket.send_bytes(bytes([ERROR]) + json.dumps({"metadata": {}, **status}).encode())
            await socket.close()
        return socket


async def _run(socket: web.WebSocketResponse, words: list[str], env: Mapping[str, str]) -> Json:
    """Run the command and pass its streams on; returns the status that tells how it ended."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *tethered(words), stdin=pipe, stdout=pipe, stderr=pipe, env=dict(env), start_new_session=True
    )
    assert child.stdin is not None  # noqa: S101 -- for the types
    assert child.stdout is not None  # noqa: S101
    assert child.stderr is not None  # noqa: S101
    listening = asyncio.ensure_future(_hear(socket, child.stdin))
    listening.add_done_callback(lambda _: _end(child) if socket.closed else None)
    try:
        await asyncio.gather(
            _tell(socket, STDOUT, child.stdout), _tell(socket, STDERR, child.stderr), child.wait()
        )
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        _end(child)
        await child.wait()
    return ended(child.returncode or 0)


def _end(child: asyncio.subprocess.Process) -> None:
    """Kill the command and what it has started, unless it has ended."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def ended(code: int) -> Json:
    """Return the status of a command that ended with this code."""
    if code == 0:
        return {"status": "Success"}
    return {
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def _tell(socket: web.WebSocketResponse, channel: int, source: asyncio.StreamReader) -> None:
    """Pass a stream of the command on; nobody may be listening any more."""
    while chunk := await source.read(CHUNK_BYTES):
        with contextlib.suppress(ConnectionError):
            await socket.send_bytes(bytes([channel]) + chunk)


async def _hear(socket: web.WebSocketResponse, target: asyncio.StreamWriter) -> None:
    """Feed the command what is typed, until its end is said; listen until nobody is there any more."""
    with contextlib.suppress(ConnectionError):
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                continue
            channel, content = message.data[0], message.data[1:]
            if channel == STDIN:
                target.write(content)
                await target.drain()
            elif channel == CLOSE and content[:1] == bytes([STDIN]):
                target.close()
    target.close()
