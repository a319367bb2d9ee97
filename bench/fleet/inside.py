"""A program that tells a fleet a state without sockets, for counting instructions.

    python -m fleet.inside COUNT taken shared told

"taken": a sidecar takes a state push in, from the bytes that came to the bytes of its answer. "shared": the
same by light sidecars, which decode equal documents once. "told": the operator's links push a state and take
the answers. Each is counted per sidecar and push; a push has a cooldown in it, the next one ends that.
Before each kind a line "ready" is printed and one is read, as in `gateways.inside`.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import uvicorn
import uvloop
from uvicorn.server import ServerState

from cliproxy_api import codec
from cliproxy_api.report import Hello
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import (
    Credential,
    Model,
    Position,
    Provider,
    RateLimit,
    Running,
    Snapshot,
    SnapshotPush,
)
from cliproxy_api.state import FleetCooldown, FleetState, StatePush
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, ProviderType
from cliproxy_operator import transport
from cliproxy_operator.clock import Clock
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.publish import Endpoint, Publisher
from cliproxy_operator.tasks import Tasks as OperatorTasks
from cliproxy_operator.view import SidecarId
from cliproxy_operator.wire.connection import Connection
from cliproxy_sidecar.__main__ import GC_THRESHOLDS
from cliproxy_sidecar.admin.control import BearerToken
from cliproxy_sidecar.runtime.tasks import Tasks
from cliproxy_sidecar.serverprotocol import BoundedHttpProtocol, prompt
from fleet import objects
from fleet.board import Board
from fleet.figures import PROVIDERS
from fleet.light import Light, share_decoding

SIDECARS: Final = 20
LINKS: Final = 120
"""More than sidecars, as these cost little to make; a document is encoded once for all of them."""
_WARM: Final = 10
_AFTERWARDS_S: Final = 0.1
"""Log lines come a moment later."""
_TOKEN: Final = "bench"  # noqa: S105 -- made up
_NOON: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
_DECODERS: Final = ("unpack", "decode_snapshot_push", "StateReader")
_OWN: Final = {name: getattr(codec, name) for name in _DECODERS}

Run = Callable[[], Coroutine[Any, Any, None]]


class Line:
    """A transport whose other end is this program."""

    def __init__(self, written: Callable[[bytes], None] = lambda _: None) -> None:
        self.last = b""
        self._written = written

    def write(self, data: bytes) -> None:
        """Take bytes."""
        self.last = data
        self._written(data)

    def writelines(self, pieces: Any) -> None:
        """Take bytes."""
        self.write(b"".join(pieces))

    def get_extra_info(self, name: str) -> Any:
        """Return an address, or nothing."""
        return ("127.0.0.1", 1) if name in {"peername", "sockname"} else None

    def is_closing(self) -> bool:
        """Stay."""
        return False

    def pause_reading(self) -> None:
        """Go on."""

    resume_reading = abort = close = pause_reading


def _id(number: int) -> str:
    return f"{objects.NAMESPACE}/{objects.provider_name(number)}"


def _provider(number: int) -> Provider:
    id_ = _id(number)
    return Provider(
        id=id_,
        name=objects.provider_name(number),
        type=ProviderType.OPENAI,
        base_url=f"http://127.0.0.1:9/{number}",
        credentials=tuple(
            Credential(name=key, secret=f"{id_}/{key}", secret_digest="1")  # noqa: S106 -- made up
            for key in ("primary", "spare")
        ),
        models=tuple(
            Model(name=f"model-{model}", upstream_name=f"model-{model}") for model in range(objects.MODELS)
        ),
        rate_limit=RateLimit(requests_per_minute=600, tokens_per_minute=400_000),
    )


def snapshot() -> Snapshot:
    """Return the providers of the fleet's benchmark."""
    return codec.seal(
        Snapshot(namespace=objects.NAMESPACE, providers=tuple(map(_provider, range(PROVIDERS))))
    )


def state(number: int) -> FleetState:
    """Return a state: with a cooldown if the number is odd."""
    scope = Scope(provider=_id(number // 2 % PROVIDERS), credential="primary")
    cooldown = FleetCooldown(
        scope=scope,
        phase=CooldownPhase.COOLING,
        outcome_class=OutcomeClass.RATE_LIMITED,
        since_utc=_NOON,
        until_utc=_NOON + timedelta(seconds=300),
    )
    ids = [_id(one) for one in range(PROVIDERS)]
    return FleetState(
        cooldowns=(cooldown,) * (number % 2),
        probes={id_: f"pod-{one:04}" for one, id_ in enumerate(ids)},
        sharers=dict.fromkeys(ids, 500),
        floors=dict.fromkeys(ids, 1000),
    )


def _request(document: str, body: bytes, coding: bytes = b"") -> bytes:
    head = b"PUT /v0/control/%b HTTP/1.1\r\nhost: 127.0.0.1:8318\r\nauthorization: Bearer %b\r\n" % (
        document.encode(),
        _TOKEN.encode(),
    )
    head += b"content-type: application/json\r\n" + coding
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def _decode(*, shared: bool) -> None:
    """Let sidecars decode on their own, or equal documents once for all."""
    for name in _DECODERS:
        setattr(codec, name, _OWN[name])
    if shared:
        share_decoding()


class Takers:
    """Sidecars that take states in."""

    def __init__(self, shared: bool) -> None:  # noqa: FBT001 -- the one thing that differs
        self._shared = shared
        _decode(shared=shared)
        self._tasks = Tasks()
        board = Board()
        self._sequence = 1
        self.lines: list[tuple[BoundedHttpProtocol, Line]] = []
        secrets = {key.secret: "sk" for one in snapshot().providers for key in one.credentials}
        pushed = codec.encode(SnapshotPush(position=Position(1, 1), snapshot=snapshot(), secrets=secrets))
        for number in range(SIDECARS):
            light = Light(
                pod=f"pod-{number:04}",
                namespace=objects.NAMESPACE,
                watched=_id(0),
                authenticator=BearerToken(_TOKEN),
                tasks=self._tasks,
                chance=Chance0(),
                board=board,
            )
            light.reporter.open()
            light.snapshots.offer_snapshot(pushed)
            config = uvicorn.Config(
                light.app,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=False,
            )
            config.load()
            protocol = prompt(light.app.asked)(config, ServerState(), {})
            line = Line()
            protocol.connection_made(cast("asyncio.Transport", line))
            self.lines.append((protocol, line))

    @property
    def size(self) -> int:
        """How many take each state."""
        return SIDECARS

    def prepare(self, count: int) -> Run:
        """Let each sidecar take so many states in."""
        requests = []
        for number in range(count):
            self._sequence += 1
            push = StatePush(position=Position(1, self._sequence), sent_at_utc=_NOON, state=state(number))
            body = codec.pack(codec.encode(push))
            requests.append(_request("state", body, b"content-encoding: deflate\r\n"))

        last = self._sequence

        async def run() -> None:
            _decode(shared=self._shared)
            for request in requests:
                for protocol, line in self.lines:
                    line.last = b""
                    protocol.data_received(bytes(memoryview(request)))  # each has its own bytes
                while not all(line.last.endswith(b"}") for _, line in self.lines):  # noqa: ASYNC110 -- counted
                    await asyncio.sleep(0)
            await asyncio.sleep(_AFTERWARDS_S)
            for _, line in self.lines:
                if b'"sequence":%d}}' % last not in line.last:
                    raise RuntimeError(f"a state was not taken: {line.last!r}")

        return run

    async def close(self) -> None:
        """Take everything apart."""
        await self._tasks.stop()


class Chance0:
    """Always the same chance."""

    def random(self) -> float:
        """Return no jitter."""
        return 0.5


class _Still(Clock):
    """Stands still: how often a document is encoded must not depend on how slow counting is."""

    def now(self) -> float:
        """Return the same instant."""
        return 1000.0


class Listener:
    """Counts answers."""

    def __init__(self) -> None:
        self.greetings = 0
        self.answers = 0

    def greeted(self, *_: Any) -> None:
        """Count."""
        self.greetings += 1

    def answered(self, *_: Any) -> None:
        """Count."""
        self.answers += 1

    def heard(self, *_: Any) -> None:
        """Pass over."""

    lost = outrun = deposed = heard


class Tellers:
    """The operator's links to sidecars that answer at once."""

    def __init__(self) -> None:
        vars(transport)["connect"] = self._connect
        self._tasks = OperatorTasks()
        self._listener = Listener()
        self._numbers = 0
        self.publisher = Publisher(
            transport=transport.PlainTransport(token=Hidden(_TOKEN), port=8318),
            clock=_Still(),
            metrics=Metrics(),
            tasks=self._tasks,
        )
        self.publisher.listen(self._listener)
        self.publisher.activate(1)
        for number in range(LINKS):
            sidecar = SidecarId(objects.NAMESPACE, f"pod-{number:04}")
            self.publisher.set_endpoint(sidecar, Endpoint(sidecar, "uid", f"127.0.0.{number + 1}", ""))

    async def _connect(self, address: str, *_: Any, context: Any, on_end: Any, **__: Any) -> Connection:
        pod = f"pod-{int(address.rpartition('.')[2]) - 1:04}"
        running = Running(digest="0123456789abcdef", snapshot=Position(1, 1), state=Position(1, 2))
        hello = Hello(
            sidecar=pod, namespace=objects.NAMESPACE, version="1", running=running, encodings=(codec.PACKED,)
        )
        line = codec.encode_report(hello)
        content = codec.encode(running)
        begin = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(line), line)
        answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
            len(content),
            content,
        )
        made = Connection(on_end, context)
        loop = asyncio.get_running_loop()
        made.connection_made(
            cast(
                "asyncio.Transport",
                Line(
                    lambda data: cast(
                        "None",
                        loop.call_soon(made.data_received, begin if data.startswith(b"GET") else answer),
                    )
                ),
            )
        )
        return made

    @property
    def size(self) -> int:
        """How many are told at once."""
        return LINKS

    def prepare(self, count: int) -> Run:
        """Tell all sidecars so many states."""
        states = [state(number) for number in range(self._numbers + 1, self._numbers + count + 1)]
        self._numbers += count

        async def run() -> None:
            while self._listener.greetings < LINKS:  # noqa: ASYNC110 -- an event would be counted too
                await asyncio.sleep(0)
            for one in states:
                wanted = self._listener.answers + LINKS
                if not self.publisher.publish_state(objects.NAMESPACE, one):
                    raise RuntimeError("a state was no news")
                while self._listener.answers < wanted:  # noqa: ASYNC110 -- as above
                    await asyncio.sleep(0)

        return run

    async def close(self) -> None:
        """Take everything apart."""
        await self._tasks.stop()


async def main(count: int, kinds: list[str]) -> None:
    """Warm up, then run each kind."""
    makers: dict[str, Callable[[], Takers | Tellers]] = {
        "taken": lambda: Takers(shared=False),
        "shared": lambda: Takers(shared=True),
        "told": Tellers,
    }
    rigs = [makers[kind]() for kind in kinds]
    for rig in rigs:
        await rig.prepare(_WARM)()
    prepared = [rig.prepare(count // rig.size) for rig in rigs]
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    for run in prepared:
        _meet()
        await run()
    _meet()
    for rig in rigs:
        await rig.close()


def _meet() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2:]))
