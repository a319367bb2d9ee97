"""Which requests are proxied: plain ASGI in front of the exchange.

Paths, methods, bounds and the caller's format are judged here; a request that passes becomes an `Exchange`.
`/health*` and `/v0/operations*` go to the admin applications that are handed in.
"""

import asyncio
import logging
import re
from functools import partial
from typing import Final

from cliproxy_api.chance import Chance
from cliproxy_sidecar.core.body import BodyError, Peek, peek
from cliproxy_sidecar.core.dialect import COUNT_TOKENS, MODEL, MODELS, Dialect, Operation, operation_of
from cliproxy_sidecar.core.errors import ErrorKind
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.token_estimate import estimated_count
from cliproxy_sidecar.proxy.doorkeeper import admit, caller_of
from cliproxy_sidecar.proxy.downstream import BodyTooLarge, BodyTooSlow, CallerLeft, Downstream, Stage
from cliproxy_sidecar.proxy.exchange import Exchange
from cliproxy_sidecar.proxy.ledger import Ledger
from cliproxy_sidecar.proxy.models import list_body, model_body
from cliproxy_sidecar.proxy.plan import Plan, Plans
from cliproxy_sidecar.proxy.refusal import JSON_TYPE, Refusal, send_refusal
from cliproxy_sidecar.proxy.relay import BrokenAnswer
from cliproxy_sidecar.proxy.reuse.call import Call
from cliproxy_sidecar.runtime.asgi import App, Receive, Scope, Send
from cliproxy_sidecar.runtime.clock import now_s, request_id
from cliproxy_sidecar.runtime.logs import Logs
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.metrics import Metrics
from cliproxy_sidecar.runtime.tasks import Tasks

log = logging.getLogger(__name__)

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:\-]{1,128}")
ESTIMATED: Final = (b"x-cliproxy-estimated", b"input_tokens")
"""Says that a figure is ours and rough."""
_BUSY_RETRY_S: Final = 1.0
_NO_SNAPSHOT_RETRY_S: Final = 2.0


class ProxyApp:
    """ASGI application of the proxy port."""

    def __init__(
        self,
        *,
        plans: Plans,
        machines: Machines,
        metrics: Metrics,
        logs: Logs,
        tasks: Tasks,
        chance: Chance,
        health: App,
        operations: App,
    ) -> None:
        self.plan: Plan | None = None
        """What new requests run on; replaced whole."""
        self._plans = plans
        self._machines = machines
        self._metrics = metrics
        self._logs = logs
        self._tasks = tasks
        self._chance = chance
        self._health = health
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"]
        operation = operation_of(path)
        if operation is None:
            if path.startswith("/v0/operations/"):
                return await self._operations(scope, receive, send)
            if path == "/health" or path.startswith("/health/"):
                return await self._health(scope, receive, send)
        ledger = Ledger(self._machines, self._metrics, self._logs, request_id=_request_id(scope))
        downstream = Downstream(scope, receive, send)
        try:
            await self._serve(operation, downstream, ledger)
        except BrokenAnswer:
            pass  # Returning before the end makes the server break the connection off.
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not downstream.left or task is None:
                raise
            task.uncancel()
        except Exception:
            log.exception("request %s failed by a bug", ledger.request_id)
            if downstream.stage is Stage.FRESH:
                bug = Refusal(ErrorKind.INTERNAL, "The sidecar failed; its log says why.")
                await self._refuse(downstream, ledger, _dialect_of(scope, operation), bug)
        finally:
            downstream.unwatch()
            ledger.close(downstream)

    async def _serve(self, operation: Operation | None, downstream: Downstream, ledger: Ledger) -> None:
        scope = downstream.scope
        dialect = _dialect_of(scope, operation)
        refusal = self._objection(operation, scope)
        if refusal is not None:
            return await self._refuse(downstream, ledger, dialect, refusal)
        plan = self.plan
        if plan is None:
            message = "The sidecar has no configuration yet."
            wait = Refusal(ErrorKind.UNAVAILABLE, message, retry_after_s=_NO_SNAPSHOT_RETRY_S)
            return await self._refuse(downstream, ledger, dialect, wait)
        ring = plan.in_force.ring
        if ring is not None:
            known = caller_of(ring, self._machines.limits.guesses, scope, self._metrics, now_s())
            if isinstance(known, Refusal):
                return await self._refuse(downstream, ledger, dialect, known)
            ledger.caller = known
        if operation is MODELS or operation is MODEL:
            return await self._list(plan, downstream, ledger, dialect)
        if self._metrics.active >= plan.limits.max_concurrent_requests:
            message = f"The sidecar serves {self._metrics.active} requests, which is its limit."
            busy = Refusal(ErrorKind.BUSY, message, retry_after_s=_BUSY_RETRY_S)
            return await self._refuse(downstream, ledger, dialect, busy)
        assert operation is not None  # noqa: S101 -- `_objection` refuses an unknown path
        self._metrics.active += 1
        plan.holders += 1
        try:
            await self._exchange(plan, operation, downstream, ledger)
        finally:
            self._metrics.active -= 1
            self._plans.release(plan)
        return None

    async def _exchange(  # noqa: PLR0911 -- one for each way out
        self, plan: Plan, operation: Operation, downstream: Downstream, ledger: Ledger
    ) -> None:
        dialect = operation.dialect
        try:
            body = await downstream.read_body(at_most_bytes=plan.limits.max_body_bytes)
        except BodyTooLarge:
            message = f"The request's body exceeds {plan.limits.max_body_bytes} bytes."
            return await self._refuse(downstream, ledger, dialect, Refusal(ErrorKind.TOO_LARGE, message))
        except BodyTooSlow:
            slow = Refusal(ErrorKind.CALLER_TIMEOUT, "The request's body did not come in time.")
            return await self._refuse(downstream, ledger, dialect, slow)
        except CallerLeft:
            downstream.left = True
            return None
        seen = peek(body)
        if isinstance(seen, BodyError):
            malformed = Refusal(ErrorKind.MALFORMED, seen.message, param=seen.param)
            return await self._refuse(downstream, ledger, dialect, malformed)
        ledger.model, ledger.stream = seen.model, seen.stream
        if plan.table.knows(seen.model):
            ledger.model_label = seen.model
        table = plan.table
        uncounted = operation is COUNT_TOKENS and table.groups(dialect, seen.model) is None
        if uncounted and table.knows(seen.model):
            return await self._estimate(body, downstream, ledger)
        if ledger.caller is not None and (refusal := self._admit(plan, operation, ledger, len(body))):
            return await self._refuse(downstream, ledger, dialect, refusal)
        if plan.reuse is None or ledger.stand_in is not None:
            downstream.watch(self._tasks)
            await self._ask(downstream, ledger, body, plan=plan, operation=operation, seen=seen)
        else:
            ask = partial(self._ask, plan=plan, operation=operation, seen=seen)
            await plan.reuse.serve(Call(operation, downstream, ledger, body, seen, ledger.consumer, ask))
        return None

    async def _ask(
        self,
        downstream: Downstream,
        ledger: Ledger,
        body: bytes,
        *,
        plan: Plan,
        operation: Operation,
        seen: Peek,
    ) -> None:
        """Ask providers for an answer, to be sent to this downstream."""
        exchange = Exchange(
            plan=plan,
            machines=self._machines,
            chance=self._chance,
            operation=operation,
            downstream=downstream,
            ledger=ledger,
            body=body,
            peek=seen,
        )
        return await exchange.run()

    def _admit(self, plan: Plan, operation: Operation, ledger: Ledger, body_bytes: int) -> Refusal | None:
        """Return why a known caller's request must not go on."""
        if ledger.caller is None or ledger.model is None:
            return None
        return admit(
            plan,
            ledger.caller,
            operation,
            ledger.model,
            body_bytes=body_bytes,
            ledger=ledger,
            metrics=self._metrics,
            now=now_s(),
        )

    async def _estimate(self, body: bytes, downstream: Downstream, ledger: Ledger) -> None:
        """Count tokens ourselves, roughly: nobody who serves the model can."""
        try:
            told = estimated_count(body)
        except TranslationError as error:
            malformed = Refusal(ErrorKind.MALFORMED, str(error), param=error.field)
            return await self._refuse(downstream, ledger, Dialect.ANTHROPIC, malformed)
        request_id = ledger.request_id.encode()
        length = (b"content-length", str(len(told)).encode())
        ids = [(b"x-request-id", request_id), (b"request-id", request_id)]
        await downstream.begin(200, [JSON_TYPE, length, ESTIMATED, *ids])
        return await downstream.end(told)

    def _objection(self, operation: Operation | None, scope: Scope) -> Refusal | None:
        """Return what is wrong with a request before its body is read."""
        method, path = scope["method"], scope["path"]
        if operation is None:
            return Refusal(ErrorKind.UNKNOWN_PATH, f"There is nothing at {path[:200]!r}.")
        if method != operation.method:
            message = f"{path[:200]} takes {operation.method}, not {method[:20]}."
            return Refusal(ErrorKind.WRONG_METHOD, message, allow=operation.method.encode())
        bound = self.plan.limits.max_header_bytes if self.plan is not None else 0
        if bound and sum([len(name) + len(value) for name, value in scope["headers"]]) > bound:
            return Refusal(ErrorKind.HEADERS_TOO_LARGE, f"The request's headers exceed {bound} bytes.")
        return None

    async def _list(self, plan: Plan, downstream: Downstream, ledger: Ledger, dialect: Dialect) -> None:
        path: str = downstream.scope["path"]
        if path == MODELS.path:
            body: bytes | None = list_body(plan.table.models, dialect)
        else:
            name = path.removeprefix(MODEL.path)
            body = model_body(plan.table.models, dialect, name)
        if body is None:
            unknown = Refusal(ErrorKind.UNKNOWN_MODEL, "The model is not served here.", param="model")
            return await self._refuse(downstream, ledger, dialect, unknown)
        length = (b"content-length", str(len(body)).encode())
        await downstream.begin(200, [JSON_TYPE, length, (b"x-request-id", ledger.request_id.encode())])
        return await downstream.end(body)

    async def _refuse(
        self, downstream: Downstream, ledger: Ledger, dialect: Dialect, refusal: Refusal
    ) -> None:
        ledger.refused = refusal.kind.name.lower()
        await send_refusal(downstream, dialect, refusal, request_id=ledger.request_id)


def _dialect_of(scope: Scope, operation: Operation | None) -> Dialect:
    """Return the caller's format: the path's, else what its headers show."""
    if operation is not None and operation is not MODELS and operation is not MODEL:
        return operation.dialect
    anthropic = any(name == b"anthropic-version" for name, _ in scope["headers"])
    if anthropic or scope["path"].startswith("/v1/messages"):
        return Dialect.ANTHROPIC
    return Dialect.OPENAI


def _request_id(scope: Scope) -> str:
    """Return the caller's own id if it is sane, else a fresh one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            text: str = value.decode("ascii")
            return text
    return request_id()
