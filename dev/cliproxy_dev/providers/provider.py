"""A scripted provider as tests and the demo hold it: start it, point a base URL at it, script it, look at it.

Puts the parts together: server, API, script, recorder, control. Each has its own module.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Literal, Protocol, Self, TypeAlias

from cliproxy_dev import clock
from cliproxy_dev.providers import presets
from cliproxy_dev.providers.answer import Answer
from cliproxy_dev.providers.anthropic_api import AnthropicApi
from cliproxy_dev.providers.call import Call, Problem, read_call
from cliproxy_dev.providers.control import Control
from cliproxy_dev.providers.flavours import AZURE, GEMINI, GROQ, OPENAI
from cliproxy_dev.providers.gemini_api import GeminiApi
from cliproxy_dev.providers.openai_api import OpenAIApi
from cliproxy_dev.providers.play import Stage, play, show
from cliproxy_dev.providers.recorder import RecordedRequest, Recorder
from cliproxy_dev.providers.script import Behaviour, Facts, Match, Normal, Script, Step
from cliproxy_dev.providers.server import Connection, Request, Server, Work
from cliproxy_dev.providers.stamp import Stamp, Stamps

Kind: TypeAlias = Literal["openai", "anthropic", "azure", "gemini", "gemini_native", "groq"]
KINDS: tuple[Kind, ...] = ("openai", "anthropic", "azure", "gemini", "gemini_native", "groq")
Keys: TypeAlias = Mapping[str, str] | Collection[str]
"""Accepted credentials: name to key, or just keys (a key is then its own name)."""


class Api(Protocol):
    """What a provider's API module offers."""

    base_path: str

    def key_of(self, request: Request) -> str | None:
        """Return the credential that a request carries, None without one."""
        ...

    def refuse(self, key: str | None, stamp: Stamp) -> Answer:
        """Return the refusal of a missing (None) or wrong credential."""
        ...

    def model_of(self, request: Request, call: Call | Problem) -> str | None:
        """Return the model that a request names."""
        ...

    def answer(self, request: Request, call: Call | Problem, knobs: Normal, stamp: Stamp) -> Answer:
        """Return the normal answer, or the refusal of a faulty request."""
        ...


def _api(kind: Kind, models: tuple[str, ...] | None) -> Api:
    if kind == "anthropic":
        return AnthropicApi(models)
    if kind == "gemini_native":
        return GeminiApi(models)
    flavour = {"openai": OPENAI, "azure": AZURE, "gemini": GEMINI, "groq": GROQ}[kind]
    return OpenAIApi(flavour, models)


class ScriptedProvider:
    """One imitated provider on loopback; use as an async context manager.

    `keys` are the accepted credentials (empty: any key passes, but there must be one); `models` the models
    served (None: whatever is asked for); port 0 means any free one. Requests without a valid key get the
    provider's own refusal and use up nothing of the script.
    """

    def __init__(
        self,
        *,
        kind: Kind = "openai",
        name: str | None = None,
        keys: Keys = frozenset({"sk-test"}),
        models: Collection[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
    ) -> None:
        self.kind = kind
        self.name = name or kind
        self.queue = Script()
        self.recorder = Recorder()
        self._api = _api(kind, None if models is None else tuple(models))
        self._stamps = Stamps()
        self._control = Control(self)
        self._server = Server(self._app, host=host, port=port)
        self._control_server = Server(self._control.app, host=host, port=control_port)
        self._arrived = asyncio.Event()
        self._names_by_key: dict[str, str] = {}
        self.set_keys(keys)

    # ------------------------------------------------------------------ life
    async def start(self) -> None:
        """Listen on both ports; raises OSError if one is taken."""
        await self._control_server.up()
        try:
            await self._server.up()
        except OSError:
            await self._control_server.stop()
            raise

    async def stop(self) -> None:
        """End everything, work in progress included."""
        await self._server.stop()
        await self._control_server.stop()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Stop."""
        await self.stop()

    async def down(self) -> None:
        """Reset all connections and refuse new ones, as in an outage; the control port stays."""
        await self._server.down()

    async def up(self) -> None:
        """Accept connections again, on the same port."""
        await self._server.up()

    # ------------------------------------------------------------------ addresses
    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{self._server.host}:{self._server.port}"

    @property
    def base_url(self) -> str:
        """The address as the provider's own SDK and an LLMProvider's `baseURL` want it."""
        return self.origin + self._api.base_path

    @property
    def control_url(self) -> str:
        """Address of the control interface, without `/_script`; answers also while the provider is down."""
        return f"http://{self._control_server.host}:{self._control_server.port}"

    @property
    def port(self) -> int:
        """The provider's port."""
        return self._server.port

    @property
    def control_port(self) -> int:
        """The control interface's port."""
        return self._control_server.port

    @property
    def is_up(self) -> bool:
        """Whether the provider accepts connections."""
        return self._server.is_up

    @property
    def connections(self) -> int:
        """How many connections callers hold open."""
        return self._server.connections

    # ------------------------------------------------------------------ script
    def script(self, *steps: Behaviour | Step, times: int | None = 1, match: Match | None = None) -> None:
        """Queue behaviours, each for the next `times` requests that `match`; whole steps as they are."""
        for step in steps:
            if isinstance(step, Step):
                self.queue.add(step)
            else:
                self.queue.add(Step(behaviour=step, times=times, match=match or Match()))

    def always(self, behaviour: Behaviour) -> None:
        """Answer so whenever no queued step fits, probes included."""
        self.queue.default = behaviour

    def preset(self, name: str, *, retry_after_s: float | None = None) -> Behaviour:
        """Return a named refusal, dated now; raises KeyError for an unknown name."""
        return presets.preset(name, now_utc=clock.utc_now(), retry_after_s=retry_after_s)

    def reset(self) -> None:
        """Answer normally again and forget what was recorded; keys and outage stay as they are."""
        self.queue.clear()
        self.recorder.clear()

    def set_keys(self, keys: Keys) -> None:
        """Accept these credentials from now on, and no others: a rotation."""
        named = keys if isinstance(keys, Mapping) else {key: key for key in keys}
        self._names_by_key = {key: name for name, key in named.items()}

    # ------------------------------------------------------------------ evidence
    @property
    def requests(self) -> list[RecordedRequest]:
        """The latest requests, oldest first."""
        return list(self.recorder.requests)

    @property
    def counts(self) -> dict[str, Any]:
        """Counts of all requests since the last reset."""
        return self.recorder.counts()

    async def wait_for_requests(self, count: int, *, timeout_s: float = 5.0) -> list[RecordedRequest]:
        """Return the requests once there are `count`; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while self.recorder.total < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests

    # ------------------------------------------------------------------ one request
    def _app(self, request: Request, connection: Connection) -> Work | None:
        if request.path.startswith("/_script"):
            return self._control.app(request, connection)
        self._arrived.set()  # seen by waiters after this turn, when the request is recorded
        stamp = self._stamps.take()
        call = read_call(request.body)
        api = self._api
        key = api.key_of(request)
        name = self._credential(key)
        facts = Facts(
            path=request.path,
            model=api.model_of(request, call),
            credential=name or "unknown",
            billed=request.method == "POST",
        )
        stage = Stage(
            request, connection, stamp.http_date, lambda knobs: api.answer(request, call, knobs, stamp)
        )
        if name is None:
            self.recorder.record(request, facts, "refused")
            return show(stage, api.refuse(key, stamp))
        behaviour = self.queue.take(facts)
        self.recorder.record(request, facts, str(behaviour.__struct_config__.tag))
        return play(behaviour, stage)

    def _credential(self, key: str | None) -> str | None:
        """Return the name of an accepted key, None for a missing or wrong one."""
        if key is None:
            return None
        return self._names_by_key.get(key) if self._names_by_key else "any"
