"""The control interface of a scripted provider: `/_script/...` over HTTP, for `curl` and other processes.

Answers JSON. On its own port it also works while the provider is down; on the provider's port it is there
for convenience. What the commands do is left to `provider.py`.
"""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec

from cliproxy_dev.providers import presets
from cliproxy_dev.providers.answer import Answer, frame
from cliproxy_dev.providers.script import Behaviour, Match, Step
from cliproxy_dev.providers.server import Connection, Request, Work
from cliproxy_dev.providers.stamp import Stamps

if TYPE_CHECKING:
    from cliproxy_dev.providers.provider import ScriptedProvider

_PRESET = re.compile(r"/_script/preset/([^/]+)")
Command = Callable[[Request, dict[str, str]], Awaitable[Any]]
"""Reads a request and its query, returns what is answered as JSON."""


class Refusal(Exception):
    """A command that cannot be done; `status` and a sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Commands on one provider."""

    def __init__(self, provider: "ScriptedProvider") -> None:
        self._provider = provider
        self._stamps = Stamps()
        self._commands: dict[tuple[str, str], Command] = {
            ("GET", "/_script"): self._state,
            ("DELETE", "/_script"): self._reset,
            ("PUT", "/_script/behaviour"): self._replace,
            ("POST", "/_script/behaviour"): self._append,
            ("PUT", "/_script/default"): self._default,
            ("PUT", "/_script/keys"): self._keys,
            ("POST", "/_script/down"): self._down,
            ("POST", "/_script/up"): self._up,
            ("GET", "/_script/requests"): self._requests,
            ("GET", "/_script/counts"): self._counts,
            ("GET", "/_script/presets"): self._presets,
        }

    def app(self, request: Request, connection: Connection) -> Work:
        """Answer one control request: the server's application."""
        return self._answer(request, connection)

    async def _answer(self, request: Request, connection: Connection) -> None:
        status, value = await self._run(request)
        body = msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
        answer = Answer(status, (("content-type", "application/json"),), body)
        date = self._stamps.take().http_date
        await connection.send(
            frame(answer, date=date, keep_alive=request.keep_alive, chunked=request.chunked).whole()
        )

    async def _run(self, request: Request) -> tuple[int, Any]:
        query = dict(parse_qsl(request.query))
        path = request.path.rstrip("/")
        command = self._commands.get((request.method, path))
        if command is None and request.method == "POST" and (found := _PRESET.fullmatch(path)):
            query["name"] = unquote(found[1])
            command = self._preset
        if command is None:
            return 404, {"error": "no such command; see dev/cliproxy_dev/providers/control.py"}
        try:
            return 200, await command(request, query)
        except Refusal as refusal:
            return refusal.status, {"error": str(refusal)}
        except (msgspec.DecodeError, ValueError) as error:
            return 400, {"error": str(error)}

    # ------------------------------------------------------------------ commands
    async def _state(self, _request: Request, _query: dict[str, str]) -> Any:
        provider = self._provider
        return {
            "name": provider.name,
            "kind": provider.kind,
            "base_url": provider.base_url,
            "up": provider.is_up,
            "connections": provider.connections,
            "pending": provider.queue.pending,
            "default": provider.queue.default,
        }

    async def _reset(self, request: Request, query: dict[str, str]) -> Any:
        self._provider.reset()
        return await self._state(request, query)

    async def _replace(self, request: Request, query: dict[str, str]) -> Any:
        steps = _steps(request.body, query)  # read first: a bad body changes nothing
        self._provider.queue.clear()
        self._provider.script(*steps)
        return {"pending": self._provider.queue.pending}

    async def _append(self, request: Request, query: dict[str, str]) -> Any:
        self._provider.script(*_steps(request.body, query))
        return {"pending": self._provider.queue.pending}

    async def _default(self, request: Request, _query: dict[str, str]) -> Any:
        self._provider.always(msgspec.json.decode(request.body, type=Behaviour))
        return {"default": self._provider.queue.default}

    async def _preset(self, _request: Request, query: dict[str, str]) -> Any:
        name, wait = query.pop("name"), query.pop("retry_after", None)
        try:
            behaviour = self._provider.preset(name, retry_after_s=None if wait is None else float(wait))
        except KeyError:
            raise Refusal(404, f"no preset {name}; one of {', '.join(presets.names())}") from None
        step = _step(behaviour, query)
        self._provider.script(step)
        waiting = len(self._provider.queue.pending)
        return {"queued": name, "times": step.times, "match": step.match, "steps_waiting": waiting}

    async def _keys(self, request: Request, _query: dict[str, str]) -> Any:
        keys = msgspec.json.decode(request.body, type=dict[str, str] | list[str])
        self._provider.set_keys(keys)
        return {"keys": len(keys)}

    async def _down(self, _request: Request, _query: dict[str, str]) -> Any:
        await self._provider.down()
        return {"up": self._provider.is_up}

    async def _up(self, _request: Request, _query: dict[str, str]) -> Any:
        await self._provider.up()
        return {"up": self._provider.is_up}

    async def _requests(self, _request: Request, query: dict[str, str]) -> Any:
        kept = self._provider.recorder.since(int(query.get("since", "0")))
        return {"requests": [request.shown() for request in kept]}

    async def _counts(self, _request: Request, _query: dict[str, str]) -> Any:
        return self._provider.counts

    async def _presets(self, _request: Request, _query: dict[str, str]) -> Any:
        return {"presets": presets.names()}


def _steps(body: bytes, query: dict[str, str]) -> list[Step]:
    """Read a step, a list of steps, or a bare behaviour (times and match then come from the query)."""
    value = msgspec.json.decode(body)
    if isinstance(value, dict) and "kind" in value:
        return [_step(msgspec.convert(value, Behaviour), query)]
    return msgspec.convert(value if isinstance(value, list) else [value], list[Step])


def _step(behaviour: Behaviour, query: dict[str, str]) -> Step:
    """Return a step as the query says: `times` (a number, or `all`), and Match's own fields."""
    fields = dict(query)
    times = fields.pop("times", "1")
    return Step(
        behaviour=behaviour,
        times=None if times == "all" else int(times),
        match=msgspec.convert(fields, Match),
    )
