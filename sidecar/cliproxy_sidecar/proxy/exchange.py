"""One request's life: a walk over `steps`, from choosing a target to the answer's last byte.

Which step comes next is decided by `course`; this module acts. The last three kinds of step send something
downstream and have no successor, so that there is no fallback once a byte has gone out. Every permit is
settled once, however the walk ends.
"""

import asyncio
import contextlib
from dataclasses import replace
from typing import Final, assert_never

from msgspec import structs

from cliproxy_api.chance import Chance
from cliproxy_api.vocabulary import Condensation
from cliproxy_sidecar.core.addresses import with_query
from cliproxy_sidecar.core.asked_usage import asking
from cliproxy_sidecar.core.body import Peek, RepeatedKeysError
from cliproxy_sidecar.core.choice import Wanted
from cliproxy_sidecar.core.condense import larger_model, without_oldest
from cliproxy_sidecar.core.dialect import Form, Operation
from cliproxy_sidecar.core.errors import ErrorKind
from cliproxy_sidecar.core.facts import facts_of
from cliproxy_sidecar.core.headers import answer_block, block_of, printable, request_block, request_block_of
from cliproxy_sidecar.core.limits.price import expected_tokens
from cliproxy_sidecar.core.outcome import CANCELLED, Outcome
from cliproxy_sidecar.core.permit import Permit
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.core.translate.draft import Destination
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.translation import Translation
from cliproxy_sidecar.core.translate.untouched import renamed, untouched
from cliproxy_sidecar.core.usage import BYTES_PER_TOKEN, Usage
from cliproxy_sidecar.proxy.attempt import Answer, Attempt, Failed
from cliproxy_sidecar.proxy.course import Course
from cliproxy_sidecar.proxy.downstream import Sink
from cliproxy_sidecar.proxy.ledger import Ledger
from cliproxy_sidecar.proxy.plan import Plan, Route
from cliproxy_sidecar.proxy.refusal import REQUEST_ID, Refusal, send_refusal
from cliproxy_sidecar.proxy.relay import Relay
from cliproxy_sidecar.proxy.steps import Choose, Commit, Condense, PassOn, Refuse, Step, Try, Wait
from cliproxy_sidecar.proxy.translated import (
    TranslatingRelay,
    objection,
    open_translated,
    told_block,
    translated_headers,
)
from cliproxy_sidecar.proxy.upstream import Upstream, UpstreamRequest
from cliproxy_sidecar.runtime.clock import now_s, unix_now_s
from cliproxy_sidecar.runtime.light import in_task
from cliproxy_sidecar.runtime.machines import Machines

_MIN_WAIT_S: Final = 0.01
_ATTEMPTS: Final = b"\r\nx-cliproxy-attempts: %d"
_FIRST_ID: Final = _ATTEMPTS % 1 + b"\r\nx-request-id: "
_NOTHING: Final = Usage()
_CONDENSED: Final = b"x-cliproxy-condensed"
UNANSWERED: Final = frozenset({"first_byte_timeout", "idle_timeout", "total_timeout"})
"""Ends of an attempt after which the provider may well have worked, and charge for it."""


class Exchange:
    """One request and what becomes of it."""

    __slots__ = (
        "_body",
        "_course",
        "_current",
        "_downstream",
        "_hides_usage",
        "_ledger",
        "_left_out",
        "_machines",
        "_model",
        "_operation",
        "_plan",
        "_route",
        "_sent",
        "_stream",
        "_tokens",
        "_translation",
    )

    def __init__(
        self,
        *,
        plan: Plan,
        machines: Machines,
        chance: Chance,
        operation: Operation,
        downstream: Sink,
        ledger: Ledger,
        body: bytes,
        peek: Peek,
    ) -> None:
        self._plan = plan
        self._machines = machines
        self._operation = operation
        self._downstream = downstream
        self._ledger = ledger
        self._body = body
        self._model = peek.model
        self._stream = peek.stream
        self._left_out = 0
        """Messages, since a provider found the conversation too long."""
        self._tokens = 0
        """Presumably taken; worked out where limits ask for it."""
        if plan.gates is not None and operation.is_billed:
            self._tokens = expected_tokens(len(body))
        wanted = Wanted(ledger.stand_in or peek.model, operation.need, tokens=self._tokens)
        if not plan.preferences.plain:
            facts = facts_of(body, downstream.request.headers, plan.preferences.needs, stream=peek.stream)
            wanted = structs.replace(wanted, facts=facts)
        self._course = Course(plan, machines, chance, wanted)
        ledger.trail, ledger.preferences = self._course.trail, plan.preferences
        ledger.counts = plan.in_force.counts
        self._hides_usage = False
        """The attempt under way asks for a usage that the caller has not asked for."""
        self._route: Route | None = None
        """Of the attempt under way."""
        self._current: tuple[Attempt, Permit, float] | None = None
        """The attempt under way: its permit is not settled, its connection not let go."""
        self._sent = False
        """The attempt under way has gone out: what it costs is unknown until it ends."""
        self._translation: Translation | None = None
        """Of the attempt under way, if its provider speaks another format than the caller."""

    async def run(self) -> None:
        """Lead the request to its end.

        Raises:
            BrokenAnswer: the answer broke off after it had begun.

        """
        try:
            step: Step | None = self._course.choose(now_s())
            while step is not None:
                # The two steps of nearly every request come first.
                if isinstance(step, Try):
                    sending = self._begin(step) if step.after_s <= 0 else await self._paused(step)
                    if not isinstance(sending, tuple):
                        step = sending
                        continue
                    attempt, upstream, request = sending
                    if self._translation is None:
                        result = await attempt.open(upstream, request)
                    else:
                        result = await open_translated(attempt, upstream, request, self._translation)
                    step = self._after(attempt, result)
                if isinstance(step, Commit):
                    answer = step.answer
                    if answer.usage is not None:
                        return self._whole(answer, answer.usage)
                    return await self._commit(step)
                step = await self._go_on(step)
        finally:
            if self._current is not None:
                self._settle(CANCELLED, self._unanswered() if self._sent else _NOTHING)

    async def _go_on(self, step: Step) -> Step | None:
        """Do one of the rarer steps and return the next; None: that was the last."""
        match step:
            case Choose():
                return self._course.choose(now_s())
            case Wait():
                return await self._wait(step)
            case Condense():
                return self._condense(step)
            case PassOn():
                self._pass_on(step)
            case Refuse():
                self._refuse(step.refusal)
            case Try() | Commit():
                return step
            case _:
                assert_never(step)
        return None

    async def _wait(self, step: Wait) -> Step:
        await in_task()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(step.until - now_s(), _MIN_WAIT_S)):
                await self._machines.change()
        return Choose()

    def _condense(self, step: Condense) -> Step:
        profile = self._plan.snapshot.profile
        if profile.condensation is Condensation.LARGER_MODEL:
            model = larger_model(self._plan.table, self._course.model, step.target)
            if model is None:
                return step.otherwise
            self._note_condensed(b"asked " + printable(model))
            return self._course.instead(model)
        shorter = without_oldest(self._operation.dialect, self._body, profile.keep_messages)
        if shorter is None:
            return step.otherwise
        self._body, dropped = shorter
        self._left_out += dropped
        self._note_condensed(b"left out %d messages" % self._left_out)
        return Try(step.target, None)

    def _note_condensed(self, how: bytes) -> None:
        earlier = (note for note in self._ledger.notes if note[0] != _CONDENSED)
        self._ledger.notes = (*earlier, (_CONDENSED, how))

    # ------------------------------------------------------------------ trying
    async def _paused(self, step: Try) -> Step:
        """Wait before an attempt."""
        await in_task()
        await asyncio.sleep(step.after_s)
        return Try(step.target, step.permit)

    def _begin(self, step: Try) -> tuple[Attempt, Upstream, UpstreamRequest] | Step:
        """Return the attempt that is to be sent now, or what to do instead."""
        plan, course, ledger = self._plan, self._course, self._ledger
        target, now = step.target, now_s()
        gates = plan.gates
        if gates is not None and step.permit is None and course.limited(target, now):
            return Choose()
        permit = step.permit or self._machines.force(target, now)
        if gates is not None and (gate := gates.get(target.provider_id)) is not None:
            permit.passage = gate.take(target, self._tokens, now)
        route = self._route = plan.route(target, self._operation, stream=self._stream)
        attempt = Attempt(target, route.operation, budget_s=course.begin(target, now))
        self._current = (attempt, permit, now)
        if not plan.preferences.plain:
            plan.preferences.strategy.began(target, now)
        ledger.attempts = course.attempts
        ledger.provider = target.provider.name
        try:
            request = self._request(target, route)
        except RepeatedKeysError as error:
            return Refuse(Refusal(ErrorKind.MALFORMED, str(error)))
        except TranslationError as error:
            if permit.passage is not None:
                permit.passage.settle(0, 0, now, sent=False)
            self._settle(CANCELLED)
            step_on = course.untranslatable(target, objection(error, target.provider.type))
            ledger.attempts = course.attempts
            return step_on
        self._sent = True
        return attempt, route.upstream, request

    def _after(self, attempt: Attempt, result: Answer | Failed) -> Step:
        """Return what follows an attempt."""
        target = attempt.target
        if attempt.response is not None:
            self._machines.heard(target, attempt.response.headers)
        if isinstance(result, Answer):
            return Commit(attempt, result)
        result = replace(result, outcome=self._plan.cleaned(result.outcome))
        self._settle(result.outcome, self._unanswered() if result.outcome.code in UNANSWERED else _NOTHING)
        return self._course.after(target, result, now_s())

    def _request(self, target: Target, route: Route) -> UpstreamRequest:
        asked, model = self._downstream.request, target.model.upstream_name
        self._hides_usage = False
        if route.pair is None:
            self._translation = None
            url = with_query(route.url, asked.query) if asked.query else route.url
            block = request_block_of(asked, route.fixed)
            body = untouched(self._operation, self._body, target.provider.type)
            body = renamed(self._operation, body, self._model, model)
            if route.asks_usage:
                asked_body = asking(body)
                self._hides_usage = asked_body is not None
                body = asked_body or body
        else:
            destination = Destination(
                target.provider.type,
                model,
                native=route.form is Form.GEMINI,
                base_url=target.provider.base_url,
            )
            self._translation = Translation(
                route.pair, self._operation.dialect, self._body, destination, created_s=int(unix_now_s())
            )
            url, body = route.url, self._translation.body
            block = request_block(translated_headers(asked.headers), route.fixed)
        span = self._ledger.span
        if span is not None:
            block = span.carried(block)
        return UpstreamRequest(self._operation.method, url, (), body, block)

    # ------------------------------------------------------------------ ending
    async def _commit(self, step: Commit) -> None:
        relay = self._relay(step.attempt)
        if self._current is not None and not step.answer.complete:
            self._machines.answered(self._current[1])
        try:
            await relay.run(step.answer, self._own_block(self._route))
        finally:
            billed = self._operation.is_billed
            usage = relay.meter.result(request_bytes=len(self._body)) if billed else _NOTHING
            outcome = relay.outcome or CANCELLED
            self._settle(outcome if outcome.code is None else self._plan.cleaned(outcome), usage)

    def _whole(self, answer: Answer, usage: Usage) -> None:
        """Send a plain good answer that is all here."""
        body = answer.held[0] if answer.told is None else answer.told
        block = answer.block or answer_block(answer.headers)
        self._downstream.answer(answer.status, block + self._own_block(self._route), body)
        self._settle(answer.outcome, usage if self._operation.is_billed else _NOTHING)

    def _relay(self, attempt: Attempt) -> Relay:
        request_id, on_content = self._ledger.request_id, self._ledger.first_content
        if self._translation is None:
            return Relay(
                attempt,
                self._downstream,
                self._operation,
                request_id=request_id,
                on_content=on_content,
                hides_usage=self._hides_usage,
            )
        return TranslatingRelay(
            attempt,
            self._downstream,
            self._operation,
            self._translation,
            request_id=request_id,
            on_content=on_content,
        )

    def _pass_on(self, step: PassOn) -> None:
        answer = step.answer
        self._ledger.provider = step.target.provider.name
        body = b"".join(answer.held)
        route = self._plan.route(step.target, self._operation, stream=self._stream)
        block = answer_block(answer.headers) + self._own_block(route)
        self._downstream.begin(answer.status, block, len(body))
        self._downstream.end(body)

    def _refuse(self, refusal: Refusal) -> None:
        self._ledger.refused = refusal.kind.name.lower()
        send_refusal(
            self._downstream,
            self._operation.dialect,
            refusal,
            request_id=self._ledger.request_id,
            block=_ATTEMPTS % self._ledger.attempts,
        )

    def _own_block(self, route: Route | None) -> bytes:
        """Return the headers that we add to an answer."""
        request_id, translation = self._ledger.request_id, self._translation
        block = b"" if route is None else route.named
        if self._ledger.attempts == 1:
            block += _FIRST_ID + request_id.encode()
        else:
            block += _ATTEMPTS % self._ledger.attempts + REQUEST_ID % request_id.encode()
        if self._ledger.notes:
            block += block_of(self._ledger.notes)
        if translation is None:
            return block
        return block + told_block(translation, self._operation.dialect, request_id)

    def _unanswered(self) -> Usage:
        """Estimate what a provider may charge that was asked and not waited for: the input."""
        if not self._operation.is_billed:
            return _NOTHING
        return Usage(input=len(self._body) // BYTES_PER_TOKEN, estimated=True)

    def _settle(self, outcome: Outcome, usage: Usage = _NOTHING) -> None:
        """End the attempt under way, if there is one."""
        if self._current is None:
            return
        (attempt, permit, started_s), self._current = self._current, None
        self._sent = False
        attempt.close()
        self._ledger.attempt_ended(attempt.target, permit, outcome, usage, started_s=started_s)
