"""What one request gets: a kept answer, another's in flight, or one of its own, which may then be kept.

Only complete answers of status 200 and outcome Success are kept; an error is shared only where it is the
request's own fault, so that whoever else would get through is not held up by the first one's bad luck.
"""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any, Final

from cliproxy_api.snapshot import Profile
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.cache.directives import directives_of
from cliproxy_sidecar.core.cache.entry import MAX_COST_NANO_USD, Entry, kept_headers
from cliproxy_sidecar.core.cache.key import fields_of, request_key
from cliproxy_sidecar.core.dialect import EMBEDDINGS
from cliproxy_sidecar.core.headers import Header, block_of
from cliproxy_sidecar.core.routing import RoutingTable
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.proxy.ledger import Ledger
from cliproxy_sidecar.proxy.relay import BrokenAnswer
from cliproxy_sidecar.proxy.reuse.call import BYPASS, HIT, MISS, SHARED, Call, own_head, told
from cliproxy_sidecar.proxy.reuse.flight import Flight
from cliproxy_sidecar.proxy.reuse.joining import Joiner
from cliproxy_sidecar.proxy.reuse.recorder import Recorder
from cliproxy_sidecar.proxy.reuse.shelf import Shelf
from cliproxy_sidecar.runtime.clock import unix_now_s
from cliproxy_sidecar.runtime.light import in_task
from cliproxy_sidecar.runtime.tasks import Tasks

_OK: Final = 200


class Reuse:
    """What a profile does less of; made once per snapshot."""

    def __init__(self, profile: Profile, table: RoutingTable, shelf: Shelf, tasks: Tasks) -> None:
        self._caches = profile.cache is not None
        self._coalesces = profile.coalescing
        self._looks = self._caches or self._coalesces
        """Whether it matters which requests are the same."""
        self._joiner = Joiner(profile.batching, shelf, tasks) if profile.batching is not None else None
        self._table = table
        self._shelf = shelf
        self._tasks = tasks
        self._served: dict[tuple[str, str], bytes] = {}

    async def serve(self, call: Call) -> None:
        """Lead one request to its end.

        Raises:
            BrokenAnswer: the answer broke off after it had begun.

        """
        fields = fields_of(call.body)
        if self._joiner is not None and call.operation is EMBEDDINGS and fields is not None:
            call = self._joining(call, fields, self._joiner)
        if self._looks:
            return await self._answer(call, fields)
        return await call.ask(call.downstream, call.ledger, call.body)

    async def _answer(self, call: Call, fields: dict[str, Any] | None) -> None:
        """Find an answer to share, or make one."""
        wishes = directives_of(call.downstream.request.headers)
        key = self._key(call, fields) if fields is not None and (wishes.read or wishes.write) else None
        if key is None:
            return await self._alone(call, None, BYPASS)
        if not wishes.read:
            return await self._alone(call, key, BYPASS)
        entry = self._shelf.look_up(key, wishes.max_age_s)
        if entry is None and self._shelf.far is not None:
            await in_task()
            entry = await self._shelf.look_further(key, wishes.max_age_s)
        if entry is not None:
            return self._replay(call, entry)
        if not self._coalesces:
            return await self._alone(call, key, MISS)
        await in_task()
        flight = self._shelf.flights.get(key)
        if flight is not None and flight.open:
            return await self._follow(call, key, flight)
        return await self._lead(call, key)

    # ---------------------------------------------------------------------- the key
    def _key(self, call: Call, fields: dict[str, Any], *, labels: bool = False) -> bytes | None:
        asked = call.downstream.request
        return request_key(
            fields,
            call.operation,
            consumer=call.consumer,
            model=call.peek.model,
            served=self._who_serves(call),
            query=asked.query,
            headers=asked.headers,
            labels=labels,
        )

    def _joining(self, call: Call, fields: dict[str, Any], joiner: Joiner) -> Call:
        """Return the call so that it asks together with others that differ in their inputs only."""
        key = self._key(call, {**fields, "input": None}, labels=True)
        if key is None:
            return call
        return replace(call, ask=partial(joiner.ask, call=call, key=key, fields=fields))

    def _who_serves(self, call: Call) -> bytes:
        """Name providers and upstream models that may answer: an answer of others is not this one's."""
        name = (call.operation.name, call.peek.model)
        served = self._served.get(name)
        if served is None:
            groups = self._table.groups(call.operation.need, call.peek.model)
            if groups is None:
                return b""
            named = {_place(target) for group in groups for target in group.targets}
            served = self._served[name] = "\n".join(sorted(named)).encode()
        return served

    # -------------------------------------------------------------------- kept answers
    def _replay(self, call: Call, entry: Entry) -> None:
        """Give a kept answer; a stream comes in one piece."""
        call.ledger.reused(HIT, entry.provider)
        call.ledger.saved(entry.payee, entry.cost_nano_usd)
        headers = own_head(list(entry.headers), call)
        headers.append((b"age", str(int(entry.age_s(unix_now_s()))).encode()))
        call.downstream.begin(_OK, block_of([*headers, told(HIT)]), len(entry.body))
        if call.peek.stream:
            call.ledger.first_content()
        call.downstream.end(entry.body)

    def _keep(self, key: bytes, answer: "Recorder | Flight", ledger: Ledger) -> None:
        outcome = ledger.outcome
        if not self._caches or outcome is None or outcome.cls is not OutcomeClass.SUCCESS:
            return
        if answer.status != _OK or ledger.refused is not None or _is_coded(answer.headers):
            return
        body = answer.body()
        if body is not None:
            heads = kept_headers(answer.headers)
            cost = min(ledger.cost_nano_usd, MAX_COST_NANO_USD)
            entry = Entry(heads, body, ledger.provider or "", unix_now_s(), ledger.payee, cost)
            self._shelf.keep(key, entry)

    # ------------------------------------------------------------------ one's own answer
    async def _alone(self, call: Call, key: bytes | None, word: str) -> None:
        """Ask for this caller only; without a key nothing is kept."""
        recorder = Recorder(call.downstream, word, keep=self._caches and key is not None)
        await call.ask(recorder, call.ledger, call.body)
        if key is not None:
            self._keep(key, recorder, call.ledger)

    # -------------------------------------------------------------------- shared answers
    async def _lead(self, call: Call, key: bytes) -> None:
        """Ask for this caller and all who join; goes on while anybody listens.

        This caller's request does not end before the exchange does, even if the caller has left: plan,
        permits and the account of what the answer costs are its own.
        """
        ledger, flights = call.ledger, self._shelf.flights
        flight = flights[key] = Flight(call.downstream.request, lambda: ledger.refused is None)
        listener = flight.join(call, leads=True)
        flight.host = host = self._tasks.spawn(self._fly(flight, call, key), "shared answer")
        try:
            await flight.listen(listener)
        finally:
            flight.leave(listener)
            await asyncio.wait({host})
        if not host.cancelled():
            host.result()

    async def _fly(self, flight: Flight, call: Call, key: bytes) -> None:
        """Run the exchange whose answer is shared."""
        ledger, flights = call.ledger, self._shelf.flights
        try:
            await call.ask(flight, ledger, call.body)
        except BrokenAnswer:
            pass  # Every listener hears of it.
        finally:
            if flights.get(key) is flight:
                del flights[key]
            self._keep(key, flight, ledger)
            flight.paid = (ledger.payee, ledger.cost_nano_usd)
            flight.settle(ledger.outcome, ledger.provider)

    async def _follow(self, call: Call, key: bytes, flight: Flight) -> None:
        listener = flight.join(call)
        try:
            shared = await flight.listen(listener)
        finally:
            flight.leave(listener)
        if not shared:
            return await self._alone(call, key, MISS)
        self._shelf.shared.add(())
        call.ledger.reused(SHARED, flight.provider, flight.outcome)
        call.ledger.saved(*flight.paid)
        return None


def _place(target: Target) -> str:
    provider = target.provider
    return f"{provider.id} {provider.type} {provider.base_url} {target.model.upstream_name}"


def _is_coded(headers: list[Header]) -> bool:
    """Whether the body is compressed, so that nobody here has seen how it ends."""
    return any(name == b"content-encoding" for name, _ in headers)
