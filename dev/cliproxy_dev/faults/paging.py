"""Kill -9 of the operator at every step of an alert: nobody is left untold, and who is told twice can see it.

A rule of the suite's own, a receiver that answers when it is told to, and the valve to the API server.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final

from aiohttp import web

from cliproxy_dev.demo.layout import NAMESPACE
from cliproxy_dev.faults.behind import valves
from cliproxy_dev.faults.field import PROVIDERS, Field, until
from cliproxy_dev.faults.run import Run
from cliproxy_dev.kube import Json

RULES: Final = f"/apis/cliproxy.io/v1alpha1/namespaces/{NAMESPACE}/alertrules"
LABEL: Final = {"cliproxy.io/faults": "paging"}
HOLDS, FAILS = "requests_per_minute > 0", "requests_per_minute > 1000000000"
PENDING: Final = "1s"
ANSWER_S: Final = 0.2
"""For the operator to read an answer, and to try to write what it means."""
FIRES_S: Final = 40.0
SETTLED_S: Final = 10.0
"""After the operator is back: a rule is looked at every 2 s, a rule's messages are 10 s apart."""
AT_MOST: Final = 2
"""Messages that say the same: what was sent and not noted is sent once more."""


class Step(StrEnum):
    """How far an alert had come when the operator died."""

    ASKED = "it fires: the receiver has the message and has not answered"
    TOLD = "it fires: the receiver has answered, status has not been written"
    WRITTEN = "it fires: told and written"
    OVER_TOLD = "it is over: the receiver has answered, status has not been written"
    OVER_WRITTEN = "it is over: told and written"


_OVER: Final = (Step.OVER_TOLD, Step.OVER_WRITTEN)


@dataclass(slots=True)
class Receiver:
    """Takes messages; answers while `answering` is set."""

    answering: asyncio.Event = field(default_factory=asyncio.Event)
    got: list[Json] = field(default_factory=list)
    answered: list[Json] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Listen on loopback."""
        app = web.Application()
        app.router.add_post("/", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port, *_ = runner.addresses[0]
        self.url = f"http://{host}:{port}/"
        try:
            yield
        finally:
            self.answering.set()
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        message = await request.json()
        self.got.append(message)
        await self.answering.wait()
        self.answered.append(message)
        return web.Response()

    def says(self, status: str, among: list[Json] | None = None) -> list[Json]:
        """Return the messages that say this, of those that were answered if not told otherwise."""
        return [one for one in (self.answered if among is None else among) if one["status"] == status]


@asynccontextmanager
async def labelled(field_: Field) -> AsyncIterator[None]:
    """Run the operator behind valves; one provider is what the rules are for."""
    async with valves(field_):
        await field_.world.kube.merge_patch(f"{PROVIDERS}/claude", {"metadata": {"labels": LABEL}})
        yield


async def kill_pager(field_: Field, run: Run, number: int) -> None:
    """Kill it at a step of an alert's way; then everybody has been told, of the end as well."""
    step = list(Step)[number % len(Step)]
    receiver = Receiver()
    async with receiver.serving():
        await _Page(field_, run, receiver, f"paging-{number}").play(step)


class _Page:
    """One rule, and what became of it."""

    def __init__(self, field_: Field, run: Run, receiver: Receiver, name: str) -> None:
        self._field = field_
        self._run = run
        self._receiver = receiver
        self._path = f"{RULES}/{name}"
        self._name = name

    async def play(self, step: Step) -> None:
        """Come to the step, kill, and look who was told what."""
        await self._field.world.kube.create(RULES, self._rule())
        try:
            await self._reach(step)
            await self._kill(step)
            await self._end(step)
        finally:
            self._field.valves.open()
            self._receiver.answering.set()
            await self._field.world.kube.delete(self._path)

    async def _reach(self, step: Step) -> None:
        """Come to the step and hold it; its writes last, since who holds them for long deposes it."""
        receiver, word = self._receiver, "firing"
        if step in _OVER:
            receiver.answering.set()
            await until(partial(self._is_noted, "Firing"), "it fires, told and noted", within_s=FIRES_S)
            receiver.answering.clear()
            word = "resolved"
            await self._no_longer_holds()
        await self._has(lambda: receiver.says(word, receiver.got), f"the receiver has: {word}")
        if step is Step.ASKED:
            return
        if step in (Step.TOLD, Step.OVER_TOLD):
            self._field.valves.hold(writes=True)
        receiver.answering.set()
        await self._has(lambda: receiver.says(word), f"the receiver has answered: {word}")
        if step in (Step.WRITTEN, Step.OVER_WRITTEN):
            state = "Firing" if word == "firing" else "Inactive"
            await until(partial(self._is_noted, state), "it is noted", within_s=FIRES_S)

    async def _kill(self, step: Step) -> None:
        """Kill it; what it tried to write or to hear is lost with it."""
        await asyncio.sleep(ANSWER_S)
        await self._field.world.parts["operator"].kill()
        self._field.valves.lose()
        self._field.valves.open()
        self._receiver.answering.set()
        self._field.note(step.value)
        self._field.tell.progress(f"killed: {step}")
        await self._field.start_operator()

    async def _end(self, step: Step) -> None:
        """See that status comes to say what was told, and that nobody was told more than that."""
        state = "Inactive" if step in _OVER else "Firing"
        await self._stuck(partial(self._is_noted, state), f"status says what was told: {state}")
        await asyncio.sleep(SETTLED_S)
        self._count("firing", 1 if step in (*_OVER, Step.WRITTEN) else AT_MOST)
        if step not in _OVER:
            await self._no_longer_holds()
            await self._stuck(partial(self._is_noted, "Inactive"), "status says that its end was told")
        self._count("resolved", AT_MOST if step is Step.OVER_TOLD else 1)
        if len({one["dedupKey"] for one in self._receiver.answered}) > 1:
            self._run.seen.other.append("messages of one alert had several dedupKeys")

    async def _no_longer_holds(self) -> None:
        await self._field.world.kube.merge_patch(self._path, {"spec": {"condition": FAILS}})

    def _count(self, word: str, at_most: int) -> None:
        said = len(self._receiver.says(word))
        if not 1 <= said <= at_most:
            self._run.seen.other.append(f"{self._name}: told {said} times that it is {word}")
        elif said > 1:
            same = len({one["id"] for one in self._receiver.says(word)}) == 1
            by = "the same id" if same else "another id and the same dedupKey"
            self._field.note(f"... after which it was told once more that it is {word}, with {by}")

    async def _stuck(self, seen: Callable[[], Awaitable[bool]], what: str) -> None:
        await self._run.note_stuck(seen, what, within_s=FIRES_S)

    async def _has(self, seen: Callable[[], object], what: str) -> None:
        async def has() -> bool:
            return bool(seen())

        await until(has, what, within_s=FIRES_S)

    async def _is_noted(self, state: str) -> bool:
        """Whether status says that the alert stands so, and that its channel knows."""
        status = (await self._field.world.kube.get(self._path)).get("status") or {}
        providers = status.get("providers") or ()
        states = {one.get("state", "Inactive") for one in providers} or {"Inactive"}
        told = any(one.get("told") for one in providers)
        return states == {state} and told == (state == "Firing")

    def _rule(self) -> Json:
        return {
            "apiVersion": "cliproxy.io/v1alpha1",
            "kind": "AlertRule",
            "metadata": {"name": self._name, "namespace": NAMESPACE},
            "spec": {
                "condition": HOLDS,
                "duration": PENDING,
                "providerSelector": {"matchLabels": LABEL},
                "notifications": [{"name": "pager", "webhook": {"url": self._receiver.url}}],
            },
        }
