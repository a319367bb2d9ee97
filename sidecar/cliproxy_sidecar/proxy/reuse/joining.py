"""Joins embedding requests that differ in their inputs only, and gives each its part of the answer.

The first of a batch waits up to the profile's time-out for others. The joined request goes out in the first
one's name and for its account, which is then shared out; an answer that cannot be told apart, or an error
that may be one input's fault, makes each ask on its own.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from cliproxy_api.reuse import Batching
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.batching.inputs import Inputs, inputs_of, joined_body
from cliproxy_sidecar.core.batching.split import apportion, apportion_usage, split
from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.core.headers import Header, block_of, headers_of
from cliproxy_sidecar.proxy.downstream import Sink
from cliproxy_sidecar.proxy.ledger import Ledger
from cliproxy_sidecar.proxy.relay import BrokenAnswer
from cliproxy_sidecar.proxy.reuse.call import Call, own_head
from cliproxy_sidecar.proxy.reuse.shelf import Shelf
from cliproxy_sidecar.runtime.light import in_task
from cliproxy_sidecar.runtime.tasks import Tasks

MAX_JOINED_BYTES: Final = 1024 * 1024
"""Of request bodies: about 260,000 tokens, and OpenAI takes 300,000 in one request (read 2026-11)."""
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Of a joined answer, which is held as a whole: about 1,000 embeddings of 3,072 numbers."""
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Part:
    """What one request of a batch gets."""

    status: int
    headers: list[Header]
    body: bytes


@dataclass(eq=False, slots=True)
class Member:
    """One request of a batch; `part` is None if it is to ask on its own."""

    call: Call
    ledger: Ledger
    inputs: Inputs
    body_bytes: int
    part: asyncio.Future[Part | None]


@dataclass(eq=False, slots=True)
class Batch:
    """Requests that wait for each other."""

    fields: dict[str, Any]
    members: list[Member] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    run: asyncio.Task[None] | None = None
    """The joined request, once it is under way."""

    @property
    def count(self) -> int:
        """Inputs so far."""
        return sum(len(member.inputs.items) for member in self.members)

    @property
    def held_bytes(self) -> int:
        """Bodies so far."""
        return sum(member.body_bytes for member in self.members)


class _Whole:
    """Takes a joined answer (see `Sink`)."""

    def __init__(self, request: Request) -> None:
        self.request: Request = request
        self.keeps = True
        self.status = 0
        self.headers: list[Header] = []
        self._parts: list[bytes] | None = []
        self._bytes = 0
        self._ended = False

    def body(self) -> bytes | None:
        """Return the whole answer; None: it was cut or too large."""
        return b"".join(self._parts) if self._parts is not None and self._ended else None

    def begin(self, status: int, block: bytes, length: int | None = None) -> None:
        """Take the head."""
        del length
        self.status, self.headers = status, headers_of(block)

    async def write(self, data: bytes) -> None:
        """Take bytes of the body."""
        self._take(data)

    def answer(self, status: int, block: bytes, body: bytes) -> None:
        """Take a whole answer."""
        self.begin(status, block, len(body))
        self.end(body)

    def end(self, data: bytes = b"") -> None:
        """Take the last bytes of the body."""
        self._take(data)
        self._ended = True

    def _take(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > MAX_ANSWER_BYTES:
            self._parts = None
        if self._parts is not None:
            self._parts.append(data)


class Joiner:
    """The open batches of one snapshot, by what their requests have in common."""

    def __init__(self, bounds: Batching, shelf: Shelf, tasks: Tasks) -> None:
        self._bounds = bounds
        self._shelf = shelf
        self._tasks = tasks
        self._open: dict[bytes, Batch] = {}

    async def ask(
        self,
        downstream: Sink,
        ledger: Ledger,
        body: bytes,
        *,
        call: Call,
        key: bytes,
        fields: dict[str, Any],
    ) -> None:
        """Lead a request to its end, together with others if there are any.

        `key` names all that joined requests must have in common, `fields` are the body's.
        """
        await in_task()
        inputs = inputs_of(fields)
        if inputs is None or len(inputs.items) >= self._bounds.max_inputs or len(body) > MAX_JOINED_BYTES:
            return await call.ask(downstream, ledger, body)
        key += inputs.kind.encode()
        batch = self._batch(key, inputs, len(body), fields)
        member = Member(call, ledger, inputs, len(body), asyncio.get_running_loop().create_future())
        batch.members.append(member)
        if batch.count >= self._bounds.max_inputs:
            self._launch(key, batch)
        try:
            part = await member.part
        finally:
            await self._leave(batch, member)
        if part is None:
            return await call.ask(downstream, ledger, body)
        block = block_of(own_head(part.headers, call, attempts=ledger.attempts))
        downstream.begin(part.status, block, len(part.body))
        return downstream.end(part.body)

    # ------------------------------------------------------------------------ batches
    def _batch(self, key: bytes, inputs: Inputs, size: int, fields: dict[str, Any]) -> Batch:
        batch = self._open.get(key)
        if batch is not None:
            fits = batch.count + len(inputs.items) <= self._bounds.max_inputs
            if fits and batch.held_bytes + size <= MAX_JOINED_BYTES:
                return batch
            self._launch(key, batch)
        batch = self._open[key] = Batch(fields)
        loop = asyncio.get_running_loop()
        batch.timer = loop.call_later(self._bounds.timeout_s, self._launch, key, batch)
        return batch

    def _launch(self, key: bytes, batch: Batch) -> None:
        """Let a batch go: nobody joins any more."""
        if self._open.get(key) is batch:
            del self._open[key]
        if batch.timer is not None:
            batch.timer.cancel()
        if len(batch.members) > 1:
            batch.run = self._tasks.spawn(self._run(batch, tuple(batch.members)), "joined request")
            return
        for member in batch.members:
            _hand(member, None)

    async def _leave(self, batch: Batch, member: Member) -> None:
        """Forget a request; in whose name the joined one goes out waits for its end all the same."""
        leads = batch.members[0] is member
        batch.members.remove(member)
        run = batch.run
        if run is None or run.done():
            return
        if not batch.members:
            run.cancel()
        if leads or not batch.members:
            await asyncio.wait({run})

    # ------------------------------------------------------------------ the joined request
    async def _run(self, batch: Batch, members: tuple[Member, ...]) -> None:
        parts: list[Part] | None = None
        try:
            parts = await self._answer(batch, members)
        except BrokenAnswer:
            pass  # Nobody has seen anything of it.
        finally:
            for at, member in enumerate(members):
                _hand(member, None if parts is None else parts[at])

    async def _answer(self, batch: Batch, members: tuple[Member, ...]) -> list[Part] | None:
        """Ask for all; None: each has to ask on its own."""
        body = joined_body(batch.fields, [member.inputs for member in members])
        if body is None:
            return None
        first = members[0]
        sink = _Whole(first.call.downstream.request)
        self._shelf.joined(len(members))
        await first.call.ask(sink, first.ledger, body)
        answer, ledger = sink.body(), first.ledger
        if answer is None:
            return None
        headers = sink.headers
        if ledger.refused is not None:
            for member in members[1:]:
                member.ledger.refused, member.ledger.attempts = ledger.refused, ledger.attempts
            return [Part(sink.status, headers, answer)] * len(members)
        outcome = ledger.outcome
        if sink.status != _OK or outcome is None or outcome.cls is not OutcomeClass.SUCCESS:
            return None
        weights = [member.inputs.tokens for member in members]
        bodies = split(answer, [len(member.inputs.items) for member in members], weights)
        if bodies is None:
            return None
        _share_out(members, weights)
        headers.append((b"x-cliproxy-joined", str(len(members)).encode()))
        return [Part(_OK, headers, part) for part in bodies]


def _hand(member: Member, part: Part | None) -> None:
    """Give a request its part, unless its caller is about to leave."""
    if not member.part.done():
        member.part.set_result(part)


def _share_out(members: tuple[Member, ...], weights: list[int]) -> None:
    """Write into each account its share of what the first one's says."""
    whole = members[0].ledger
    usages = apportion_usage(whole.usage, weights)
    costs = apportion(whole.cost_nano_usd, weights)
    for member, usage, cost in zip(members, usages, costs, strict=True):
        member.ledger.shared_out(whole, usage, cost)
