"""One request's life: choose, try, judge, try again or elsewhere, and in the end relay or refuse.

The life is a walk over `steps`. The last three kinds of step send something downstream and have no successor,
so that there is no fallback once a byte has gone out. Every permit is settled once, however the walk ends.
"""

import asyncio
import contextlib
from dataclasses import replace
from typing import Final, assert_never

from cliproxy_api.chance import Chance
from cliproxy_api.vocabulary import LastResort, OutcomeClass
from cliproxy_sidecar.core.body import Peek, RepeatedKeysError, with_model
from cliproxy_sidecar.core.dialect import COUNT_TOKENS, Operation, with_query
from cliproxy_sidecar.core.errors import ErrorKind
from cliproxy_sidecar.core.headers import Header, request_headers
from cliproxy_sidecar.core.outcome import CANCELLED, Outcome
from cliproxy_sidecar.core.permit import Blocked, Permit
from cliproxy_sidecar.core.retry import Budget, Failover, GiveUp, GiveUpReason, RetrySame, decide
from cliproxy_sidecar.core.scopes import scopes_of
from cliproxy_sidecar.core.selection import Chosen, Lack, NoTarget, Wanted
from cliproxy_sidecar.core.target import Target, TargetId
from cliproxy_sidecar.core.usage import Usage
from cliproxy_sidecar.proxy import unavailable
from cliproxy_sidecar.proxy.attempt import Answer, Attempt, Failed
from cliproxy_sidecar.proxy.downstream import Downstream
from cliproxy_sidecar.proxy.ledger import Ledger
from cliproxy_sidecar.proxy.plan import Plan
from cliproxy_sidecar.proxy.refusal import Refusal, send_refusal
from cliproxy_sidecar.proxy.relay import Relay, downstream_headers
from cliproxy_sidecar.proxy.steps import Choose, Commit, PassOn, Refuse, Step, Try, Wait
from cliproxy_sidecar.proxy.upstream import UpstreamRequest
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.machines import Machines

_OF_THE_REQUEST: Final = frozenset(
    {OutcomeClass.CLIENT, OutcomeClass.CONTEXT, OutcomeClass.TOO_BIG, OutcomeClass.FILTER}
)
"""The caller's own matter: what the provider says about it is for the caller to read."""
_MIN_WAIT_S: Final = 0.01
_NOTHING: Final = Usage()


class Exchange:
    """One request and what becomes of it."""

    def __init__(
        self,
        *,
        plan: Plan,
        machines: Machines,
        chance: Chance,
        operation: Operation,
        downstream: Downstream,
        ledger: Ledger,
        body: bytes,
        peek: Peek,
    ) -> None:
        self._plan = plan
        self._machines = machines
        self._chance = chance
        self._operation = operation
        self._downstream = downstream
        self._ledger = ledger
        self._body = body
        self._model = peek.model
        self._wanted = Wanted(peek.model, operation.dialect)
        self._current: tuple[Attempt, Permit, float] | None = None
        """The attempt under way: its permit is not settled, its connection not let go."""
        self._failures: dict[TargetId, Outcome] = {}
        self._tries: dict[str, int] = {}
        self._fault: PassOn | None = None
        self._deadline: float | None = None
        self._wait_until: float | None = None
        self._insisted = False
        """The least bad target has been asked: the last resort comes once."""

    async def run(self) -> None:
        """Lead the request to its end.

        Raises:
            BrokenAnswer: the answer broke off after it had begun.

        """
        step: Step = Choose()
        try:
            while True:
                match step:
                    case Choose():
                        step = self._choose()
                    case Wait():
                        step = await self._wait(step)
                    case Try():
                        step = await self._try(step)
                    case Commit():
                        return await self._commit(step)
                    case PassOn():
                        return await self._pass_on(step)
                    case Refuse():
                        return await self._refuse(step.refusal)
                    case _:
                        assert_never(step)
        finally:
            self._settle(CANCELLED)

    # ---------------------------------------------------------------- choosing
    def _choose(self) -> Step:
        now = now_s()
        found = self._plan.chooser.choose(self._wanted, now)
        if isinstance(found, Chosen):
            self._machines.began(found.permit)
            return Try(found.target, found.permit)
        return self._last_resort(found, now)

    def _last_resort(self, lack: NoTarget, now: float) -> Step:
        """Do what the policy says when nobody can take the request as things stand."""
        if self._fault is not None:
            return self._fault
        target = lack.least_bad
        if target is not None:
            rules = target.provider.cooldown
            if rules.last_resort is LastResort.USE_LEAST_BAD and not self._insisted and _is_hopeful(lack):
                self._insisted = True
                return Try(target, None)
            if rules.last_resort is LastResort.WAIT:
                self._wait_until = self._wait_until or now + rules.max_wait_s
                if now < min(self._wait_until, self._deadline or self._wait_until):
                    return Wait(min(self._wait_until, lack.until or self._wait_until))
        if lack.reason is Lack.EXHAUSTED:
            tried = [replace(skip, blocked=self._blocked(skip.target, now)) for skip in lack.skipped]
            lack = replace(lack, skipped=tuple(tried))
        return Refuse(unavailable.no_target(self._model, lack, self._failures, now))

    async def _wait(self, step: Wait) -> Step:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(step.until - now_s(), _MIN_WAIT_S)):
                await self._machines.change()
        return Choose()

    # ------------------------------------------------------------------ trying
    async def _try(self, step: Try) -> Step:
        if step.after_s > 0:
            await asyncio.sleep(step.after_s)
        target, now = step.target, now_s()
        permit = step.permit or self._machines.force(target, now)
        total_s = target.provider.timeouts.total_s
        if self._deadline is None:
            self._deadline = now + total_s
        attempt = Attempt(target, self._operation, budget_s=min(total_s, max(self._deadline - now, 0.001)))
        self._current = (attempt, permit, now)
        self._tries[target.provider_id] = self._tries.get(target.provider_id, 0) + 1
        self._ledger.attempts += 1
        self._ledger.provider = target.provider.name
        try:
            request = self._request(target)
        except RepeatedKeysError as error:
            return Refuse(Refusal(ErrorKind.MALFORMED, str(error)))
        result = await attempt.open(self._plan.lines[target.provider_id].upstream, request)
        if isinstance(result, Answer):
            return Commit(attempt, result)
        result = replace(result, outcome=self._plan.cleaned(result.outcome))
        self._settle(result.outcome)
        return self._after(target, result)

    def _after(self, target: Target, failed: Failed) -> Step:
        """Decide what follows a failed attempt."""
        now, outcome, provider = now_s(), failed.outcome, target.provider
        self._failures.pop(target.id, None)
        self._failures[target.id] = outcome
        if outcome.cls in _OF_THE_REQUEST and failed.answer is not None and self._is_safe(failed.answer):
            self._fault = PassOn(target, failed.answer)
        others = replace(self._wanted, exclude=self._wanted.exclude | self._mates(target, outcome))
        budget = Budget(
            attempts_at_provider=self._tries[target.provider_id],
            attempts_total=self._ledger.attempts,
            max_attempts=self._plan.snapshot.profile.max_attempts,
            retries=provider.retries,
            left_s=(self._deadline or now) - now,
            max_wait_s=provider.cooldown.max_wait_s,
        )
        alternatives = self._plan.chooser.has_alternative(others, now)
        decision = decide(outcome, budget, alternatives=alternatives, chance=self._chance.random())
        match decision:
            case RetrySame():
                return Try(target, None, decision.delay_s)
            case Failover() | GiveUp(GiveUpReason.NO_ALTERNATIVE):
                # Without an alternative the last resort may still know one.
                self._wanted = others
                return Choose()
            case GiveUp():
                blocked = self._blocked(target, now)
                return self._fault or Refuse(unavailable.failed(self._model, target, outcome, blocked, now))
            case _:
                assert_never(decision)

    def _mates(self, target: Target, outcome: Outcome) -> set[TargetId]:
        """Return the targets that share the fault: another key of a broken model would fail alike."""
        scopes = set(scopes_of(outcome, target.provider, target.credential.name, target.model.upstream_name))
        groups = self._plan.table.groups(self._operation.dialect, self._model) or ()
        return {target.id} | {
            mate.id for group in groups for mate in group.targets if not scopes.isdisjoint(mate.scopes)
        }

    def _request(self, target: Target) -> UpstreamRequest:
        route, scope = self._plan.route(target, self._operation), self._downstream.scope
        return UpstreamRequest(
            self._operation.method,
            with_query(route.url, scope["query_string"]),
            request_headers(scope["headers"], route.fixed),
            with_model(self._body, self._model, target.model.upstream_name),
        )

    def _blocked(self, target: Target, now: float) -> Blocked | None:
        return self._machines.cooldowns.peek(target, now)

    def _is_safe(self, answer: Answer) -> bool:
        """Whether a refusal may be shown: some providers repeat the key they were given."""
        return not any(secret in chunk for chunk in answer.held for secret in self._plan.secrets)

    # ------------------------------------------------------------------ ending
    async def _commit(self, step: Commit) -> None:
        relay = Relay(
            step.attempt,
            self._downstream,
            self._operation.dialect,
            request_id=self._ledger.request_id,
            on_content=self._ledger.first_content,
        )
        if self._current is not None and not step.answer.complete:
            self._machines.answered(self._current[1])
        try:
            await relay.run(step.answer, self._own_headers(step.attempt.target))
        finally:
            billed = self._operation is not COUNT_TOKENS
            usage = relay.meter.result(request_bytes=len(self._body)) if billed else _NOTHING
            outcome = relay.outcome or CANCELLED
            self._settle(outcome if outcome.code is None else self._plan.cleaned(outcome), usage)

    async def _pass_on(self, step: PassOn) -> None:
        answer = step.answer
        self._ledger.provider = step.target.provider.name
        headers = downstream_headers(answer.headers, self._own_headers(step.target))
        headers = [item for item in headers if item[0] != b"content-length"]
        body = b"".join(answer.held)
        headers.append((b"content-length", str(len(body)).encode()))
        await self._downstream.begin(answer.status, headers)
        await self._downstream.end(body)

    async def _refuse(self, refusal: Refusal) -> None:
        self._ledger.refused = refusal.kind.name.lower()
        own = ((b"x-cliproxy-attempts", str(self._ledger.attempts).encode()),)
        await send_refusal(
            self._downstream,
            self._operation.dialect,
            refusal,
            request_id=self._ledger.request_id,
            headers=own,
        )

    def _own_headers(self, target: Target) -> list[Header]:
        return [
            *self._plan.route(target, self._operation).named,
            (b"x-cliproxy-attempts", str(self._ledger.attempts).encode()),
            (b"x-request-id", self._ledger.request_id.encode()),
        ]

    def _settle(self, outcome: Outcome, usage: Usage = _NOTHING) -> None:
        """End the attempt under way, if there is one."""
        if self._current is None:
            return
        (attempt, permit, started_s), self._current = self._current, None
        attempt.close()
        self._ledger.attempt_ended(attempt.target, permit, outcome, usage, started_s=started_s)


def _is_hopeful(lack: NoTarget) -> bool:
    """Whether the least bad target may work: no dead key or empty account, and no person took it out."""
    blocked = next((skip.blocked for skip in lack.skipped if skip.target is lack.least_bad), None)
    return blocked is None or blocked.rank == 0
