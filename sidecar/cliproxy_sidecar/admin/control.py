"""The operator's door on 8318: takes snapshots, fleet states and parts of limits, streams reports.

Who may come in is the `Authenticator`'s word (mutual TLS, or a bearer token); what a push means is
`runtime.snapshots`' business, what is reported `runtime.reporter`'s.
"""

import hmac
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from cliproxy_api import codec
from cliproxy_api.audit import peer_text
from cliproxy_api.snapshot import Running
from cliproxy_sidecar.runtime.asgi import Receive, Scope, Send, answer, header, read_body
from cliproxy_sidecar.runtime.reporter import Reporter, Stream
from cliproxy_sidecar.runtime.snapshots import Verdict
from cliproxy_sidecar.runtime.tasks import Tasks
from cliproxy_sidecar.serverprotocol import Prompt, Reply

MAX_SNAPSHOT_BYTES: Final = 16 * 1024 * 1024
MAX_STATE_BYTES: Final = 4 * 1024 * 1024
MAX_PARTS_BYTES: Final = 1024 * 1024
PACKED: Final = codec.PACKED.encode()
ACCEPTED: Final = (b"accept-encoding", PACKED)
NDJSON: Final = b"application/x-ndjson"


class Authenticator(Protocol):
    """Decides who is the operator."""

    def admits(self, scope: Scope) -> bool:
        """Whether this request comes from the operator."""
        ...


class BearerToken:
    """Admits whoever knows the shared token."""

    def __init__(self, token: str) -> None:
        self._expected = b"Bearer " + token.encode()

    def admits(self, scope: Scope) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(header(scope, b"authorization"), self._expected)


class OperatorCertificate:
    """Admits whoever came over TLS: the port's protocol has closed all connections but the operator's."""

    def admits(self, scope: Scope) -> bool:
        """Never admit what came in clear, should the port ever be served so by mistake."""
        return bool(scope["scheme"] == "https")


class Pushes(Protocol):
    """What takes pushes (`runtime.snapshots.Snapshots`)."""

    @property
    def running(self) -> Running:
        """What runs now."""
        ...

    def offer_snapshot(self, body: bytes) -> Verdict:
        """Take a snapshot or refuse it."""
        ...

    def offer_state(self, body: bytes) -> Verdict:
        """Take a fleet state or refuse it."""
        ...

    def offer_parts(self, body: bytes) -> Verdict:
        """Take parts of shared limits or refuse them."""
        ...

    def lead(self, epoch: int) -> bool:
        """Whether this leader is not deposed."""
        ...


class ControlApp:
    """ASGI application of the control port."""

    def __init__(
        self,
        pushes: Pushes,
        reporter: Reporter,
        authenticator: Authenticator,
        *,
        tasks: Tasks,
        refused: Callable[[str], None],
    ) -> None:
        self._pushes = pushes
        self._reporter = reporter
        self._authenticator = authenticator
        self._tasks = tasks
        self._refused = refused
        self._doors: Final[dict[str, tuple[Callable[[bytes], Verdict], int]]] = {
            "/v0/control/snapshot": (pushes.offer_snapshot, MAX_SNAPSHOT_BYTES),
            "/v0/control/state": (pushes.offer_state, MAX_STATE_BYTES),
            "/v0/control/parts": (pushes.offer_parts, MAX_PARTS_BYTES),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if not self._authenticator.admits(scope):
            self._refused(peer_text(scope.get("client")))
            await _refuse(send, 401, "you are not the operator", (b"www-authenticate", b"Bearer"))
            return
        if (prompt := self._prompt(scope)) is not None:
            body = await read_body(receive, at_most_bytes=prompt.at_most_bytes)
            reply = _too_long(prompt.at_most_bytes) if body is None else prompt.reply(body)
            closing = ((b"connection", b"close"),) if reply.last else ()
            await answer(send, reply.status, reply.body, headers=(*reply.headers, *closing))
            return
        match (scope["path"], scope["method"]):
            case ("/v0/control/reports", "GET"):
                await self._reports(scope, receive, send)
            case ("/v0/control/snapshot" | "/v0/control/state" | "/v0/control/parts", _):
                await _refuse(send, 405, "only PUT is served here", (b"allow", b"PUT"))
            case ("/v0/control/reports", _):
                await _refuse(send, 405, "only GET is served here", (b"allow", b"GET"))
            case _:
                await _refuse(send, 404, "the control port serves snapshot, state, parts and reports")

    def asked(self, scope: Scope) -> Prompt | None:
        """Return how the operator's push is answered as soon as it is there; None: it is something else."""
        prompt = self._prompt(scope)
        return prompt if prompt is not None and self._authenticator.admits(scope) else None

    def _prompt(self, scope: Scope) -> Prompt | None:
        door = self._doors.get(scope["path"]) if scope["method"] == "PUT" else None
        if door is None:
            return None
        offer, at_most_bytes = door
        return Prompt(
            at_most_bytes, partial(self._push, header(scope, b"content-encoding"), offer, at_most_bytes)
        )

    def _push(
        self, coding: bytes, offer: Callable[[bytes], Verdict], at_most_bytes: int, body: bytes
    ) -> Reply:
        """Take a push or refuse it."""
        if len(body) > at_most_bytes:
            return _too_long(at_most_bytes)
        if coding == PACKED:
            try:
                body = codec.unpack(body, at_most_bytes=at_most_bytes)
            except codec.DecodeError as error:
                return _refusal(400, str(error))
            if len(body) > at_most_bytes:
                return _too_long(at_most_bytes)
        elif coding:
            return _refusal(415, f"the content coding is {codec.PACKED} or none", ACCEPTED)
        verdict = offer(body)
        return Reply(verdict.value, codec.encode(self._pushes.running))

    async def _reports(self, scope: Scope, receive: Receive, send: Send) -> None:
        epoch = _epoch(header(scope, b"x-cliproxy-epoch"))
        if epoch is None:
            await _refuse(send, 400, "x-cliproxy-epoch must be a whole number")
            return
        if not self._pushes.lead(epoch):
            await answer(send, 409, codec.encode(self._pushes.running))
            return
        stream = self._reporter.open()
        watch = self._tasks.spawn(_end_with_reader(receive, stream), "reports reader")
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", NDJSON)]})
            async for lines in stream.lines():
                await send({"type": "http.response.body", "body": lines, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            watch.cancel()
            self._reporter.closed(stream)


async def _end_with_reader(receive: Receive, stream: Stream) -> None:
    """End the stream when its reader leaves: sending to somebody who has left raises nothing."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def _epoch(value: bytes) -> int | None:
    if not value:
        return 0
    return int(value) if value.isdigit() and len(value) <= 18 else None  # noqa: PLR2004 -- fits 64 bits


def _too_long(at_most_bytes: int) -> Reply:
    return _refusal(413, f"a push has at most {at_most_bytes} bytes")._replace(last=True)


def _refusal(status: int, message: str, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(status, codec.encode(Running(error=message)), headers)


async def _refuse(send: Send, status: int, message: str, *headers: tuple[bytes, bytes]) -> None:
    await answer(send, status, codec.encode(Running(error=message)), headers=headers)
