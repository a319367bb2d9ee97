"""Which requests are proxied: what stands in front of the exchange.

Paths, methods, bounds and the caller's format are judged here; a request that passes becomes an `Exchange`.
`/health*`, `/v0/operations*` and `/v0/feedback` go to those beside it.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from cliproxy_api.chance import Chance
from cliproxy_sidecar.core.body import BodyError, Peek, peek, peek_named
from cliproxy_sidecar.core.dialect import (
    GEMINI_MODEL,
    LISTS,
    MODEL,
    MODELS,
    STREAM_GENERATE,
    Dialect,
    Need,
    Operation,
    as_asked,
    dialect_shown,
    model_in,
    operation_of,
)
from cliproxy_sidecar.core.errors import ErrorKind
from cliproxy_sidecar.core.feedback import Ratings
from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.core.halves import without_halves
from cliproxy_sidecar.core.limits.callers import Caller
from cliproxy_sidecar.core.limits.keys import KeyRing
from cliproxy_sidecar.core.translate.fields import TranslationError
from cliproxy_sidecar.core.translate.token_estimate import estimated_count
from cliproxy_sidecar.proxy.doorkeeper import admit, caller_of
from cliproxy_sidecar.proxy.downstream import FRESH, BodyTooLarge, BodyTooSlow, Downstream, Sink
from cliproxy_sidecar.proxy.exchange import Exchange
from cliproxy_sidecar.proxy.feedback import PATH as FEEDBACK
from cliproxy_sidecar.proxy.feedback import FeedbackDoor
from cliproxy_sidecar.proxy.ledger import Ledger
from cliproxy_sidecar.proxy.models import list_body, model_body
from cliproxy_sidecar.proxy.plan import Plan, Plans
from cliproxy_sidecar.proxy.refusal import (
    ANTHROPIC_REQUEST_ID,
    JSON_TYPE,
    REQUEST_ID,
    Refusal,
    send_refusal,
)
from cliproxy_sidecar.proxy.relay import BrokenAnswer
from cliproxy_sidecar.proxy.reuse.call import Call
from cliproxy_sidecar.proxy.tracing.tracer import Tracer
from cliproxy_sidecar.proxy.unavailable import unknown_model
from cliproxy_sidecar.runtime.audit import Audit
from cliproxy_sidecar.runtime.clock import now_s, request_id
from cliproxy_sidecar.runtime.light import own_task
from cliproxy_sidecar.runtime.logs import Logs
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.metrics import Metrics

log = logging.getLogger(__name__)

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:\-]{1,128}")
ESTIMATED: Final = b"\r\nx-cliproxy-estimated: input_tokens"
"""Says that a figure is ours and rough."""
_GEMINI: Final = Dialect.GEMINI
_COUNT: Final = Need.COUNT
_BASE_URLS: Final = (
    "The base URL of OpenAI's SDKs ends in /v1 here, that of Anthropic's and Google's in no path; "
    "GET /v1/models lists what can be asked for."
)
"""What most often is wrong with a path."""
_BUSY_RETRY_S: Final = 1.0
_NO_SNAPSHOT_RETRY_S: Final = 2.0


Aside = Callable[[Downstream], Awaitable[None]]
"""Serves what is not the data path's."""


class ProxyApp:
    """Everything on the proxy port."""

    def __init__(
        self,
        *,
        plans: Plans,
        machines: Machines,
        metrics: Metrics,
        logs: Logs,
        chance: Chance,
        audit: Audit,
        health: Aside,
        operations: Aside,
    ) -> None:
        self.plan: Plan | None = None
        """What new requests run on; replaced whole."""
        self.tracer: Tracer | None = None
        """What traces them; None: nothing does."""
        self._plans = plans
        self._machines = machines
        self._metrics = metrics
        self._logs = logs
        self._chance = chance
        self._audit = audit
        self._health = health
        self._operations = operations
        self._feedback = FeedbackDoor(Ratings(machines.decisions), metrics)

    async def serve(self, downstream: Downstream) -> None:
        """Serve one request. Returning before the answer's end makes the server break the connection off."""
        request = downstream.request
        path = request.path
        operation = operation_of(path)
        if operation is None and (beside := self._beside(path)) is not None:
            return await beside(downstream)
        ledger = Ledger(self._machines, self._metrics, self._logs, request_id=_request_id(request))
        try:
            plan = self._enter(operation, downstream, ledger)
            if plan is not None and operation is not None:
                try:
                    await self._exchange(plan, operation, downstream, ledger)
                finally:
                    self._metrics.active -= 1
                    self._plans.release(plan)
        except BrokenAnswer:
            pass
        except asyncio.CancelledError:
            if not downstream.left:
                raise
            if (task := own_task()) is not None:
                task.uncancel()
        except Exception:
            log.exception("request %s failed by a bug", ledger.request_id)
            if downstream.stage is FRESH:
                bug = Refusal(ErrorKind.INTERNAL, "The sidecar failed; its log says why.")
                self._refuse(downstream, ledger, _dialect_of(request, operation), bug)
        finally:
            ledger.close(downstream)

    def _enter(self, operation: Operation | None, downstream: Downstream, ledger: Ledger) -> Plan | None:
        """Return the plan that a request runs on, held and counted once; None: it has been answered."""
        request = downstream.request
        if self.tracer is not None:
            ledger.tracer = self.tracer
            ledger.span = self.tracer.begin(request.headers)
        dialect = _dialect_of(request, operation)
        refusal = self._objection(operation, request)
        if refusal is not None:
            self._refuse(downstream, ledger, dialect, refusal)
            return None
        plan = self.plan
        if plan is None:
            message = "The sidecar has no configuration yet."
            wait = Refusal(ErrorKind.UNAVAILABLE, message, retry_after_s=_NO_SNAPSHOT_RETRY_S)
            self._refuse(downstream, ledger, dialect, wait)
            return None
        ring = plan.in_force.ring
        if ring is not None:
            known = self._caller(ring, downstream)
            if isinstance(known, Refusal):
                self._refuse(downstream, ledger, dialect, known)
                return None
            ledger.caller = known
        if operation in LISTS:
            self._list(plan, operation, downstream, ledger)
            return None
        if self._metrics.active >= plan.limits.max_concurrent_requests:
            message = (
                f"The sidecar serves {self._metrics.active} requests, which is its limit "
                "(limits.maxConcurrentRequests of its ProxyProfile)."
            )
            busy = Refusal(ErrorKind.BUSY, message, retry_after_s=_BUSY_RETRY_S)
            self._refuse(downstream, ledger, dialect, busy)
            return None
        self._metrics.active += 1
        plan.holders += 1
        return plan

    def _beside(self, path: str) -> Aside | None:
        """Return who serves a path that is not the data path's; None: nobody."""
        if path.startswith("/v0/operations"):
            return self._operations
        if path == "/health" or path.startswith("/health/"):
            return self._health
        return self._take_feedback if path == FEEDBACK else None

    async def _take_feedback(self, downstream: Downstream) -> None:
        own_id = _request_id(downstream.request)
        await self._feedback.serve(downstream, own_id, self._stranger(downstream))

    def _caller(self, ring: KeyRing[Caller], downstream: Downstream) -> Caller | Refusal:
        guesses = self._machines.limits.guesses
        return caller_of(ring, guesses, downstream, metrics=self._metrics, audit=self._audit, now=now_s())

    def _stranger(self, downstream: Downstream) -> Refusal | None:
        """Return why a caller is not heard, where callers have names."""
        ring = None if self.plan is None else self.plan.in_force.ring
        if ring is None:
            return None
        known = self._caller(ring, downstream)
        return known if isinstance(known, Refusal) else None

    async def _exchange(
        self, plan: Plan, operation: Operation, downstream: Downstream, ledger: Ledger
    ) -> None:
        dialect = operation.dialect
        try:
            # Nearly always it is here, and then nobody needs to be asked to wait for it.
            bound = plan.limits.max_body_bytes
            body = downstream.whole_body(bound) or await downstream.read_body(at_most_bytes=bound)
        except BodyTooLarge:
            message = (
                f"The request's body exceeds {plan.limits.max_body_bytes} bytes "
                "(limits.maxBodyBytes of the ProxyProfile)."
            )
            return self._refuse(downstream, ledger, dialect, Refusal(ErrorKind.TOO_LARGE, message))
        except BodyTooSlow:
            slow = Refusal(ErrorKind.CALLER_TIMEOUT, "The request's body did not come in time.")
            return self._refuse(downstream, ledger, dialect, slow)
        if dialect is _GEMINI:
            operation = as_asked(operation, downstream.request.query)
        seen = _seen(operation, downstream.request, body)
        if isinstance(seen, BodyError) and (mended := without_halves(body)) is not None:
            body, seen = mended, _seen(operation, downstream.request, mended)
        if isinstance(seen, BodyError):
            malformed = Refusal(ErrorKind.MALFORMED, seen.message, param=seen.param)
            return self._refuse(downstream, ledger, dialect, malformed)
        ledger.model, ledger.stream = seen.model, seen.stream
        if plan.table.knows(seen.model):
            ledger.model_label = seen.model
        table = plan.table
        uncounted = operation.need is _COUNT and table.groups(_COUNT, seen.model) is None
        if uncounted and table.knows(seen.model):
            return self._estimate(operation, body, downstream, ledger)
        if ledger.caller is not None and (
            refusal := self._admit(plan, operation, ledger, len(body), downstream)
        ):
            return self._refuse(downstream, ledger, dialect, refusal)
        if plan.reuse is None or ledger.stand_in is not None:
            await self._ask(downstream, ledger, body, plan=plan, operation=operation, seen=seen)
        else:
            ask = partial(self._ask, plan=plan, operation=operation, seen=seen)
            await plan.reuse.serve(Call(operation, downstream, ledger, body, seen, ledger.consumer, ask))
        return None

    def _ask(
        self,
        downstream: Sink,
        ledger: Ledger,
        body: bytes,
        *,
        plan: Plan,
        operation: Operation,
        seen: Peek,
    ) -> Coroutine[Any, Any, None]:
        """Return what asks providers for an answer, to be sent to this downstream."""
        if ledger.span is not None:
            downstream = ledger.span.watching(downstream)
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
        return exchange.run()

    def _admit(
        self, plan: Plan, operation: Operation, ledger: Ledger, body_bytes: int, downstream: Downstream
    ) -> Refusal | None:
        """Return why a known caller's request must not go on."""
        caller, model = ledger.caller, ledger.model
        if caller is None or model is None:
            return None
        return admit(
            plan,
            caller,
            operation,
            model,
            body_bytes=body_bytes,
            ledger=ledger,
            metrics=self._metrics,
            audit=self._audit,
            downstream=downstream,
            now=now_s(),
        )

    def _estimate(self, operation: Operation, body: bytes, downstream: Downstream, ledger: Ledger) -> None:
        """Count tokens ourselves, roughly: nobody who serves the model can."""
        try:
            told = estimated_count(operation.dialect, body)
        except TranslationError as error:
            malformed = Refusal(ErrorKind.MALFORMED, str(error), param=error.field)
            return self._refuse(downstream, ledger, operation.dialect, malformed)
        request_id = ledger.request_id.encode()
        ids = REQUEST_ID % request_id + ANTHROPIC_REQUEST_ID % request_id
        downstream.begin(200, JSON_TYPE + ESTIMATED + ids, len(told))
        return downstream.end(told)

    def _objection(self, operation: Operation | None, request: Request) -> Refusal | None:
        """Return what is wrong with a request before its body is read."""
        method, path = request.method, request.path
        if operation is None:
            return Refusal(ErrorKind.UNKNOWN_PATH, f"There is nothing at {path[:200]!r}. {_BASE_URLS}")
        if method != operation.method:
            message = f"{path[:200]} takes {operation.method}, not {method[:20]}."
            return Refusal(ErrorKind.WRONG_METHOD, message, allow=operation.method.encode())
        bound = self.plan.limits.max_header_bytes if self.plan is not None else 0
        # Adding up is for heads that may be too large at all.
        if bound < request.head_bytes and (
            sum([len(name) + len(value) for name, value in request.headers]) > bound > 0
        ):
            message = (
                f"The request's headers exceed {bound} bytes (limits.maxHeaderBytes of the ProxyProfile)."
            )
            return Refusal(ErrorKind.HEADERS_TOO_LARGE, message)
        return None

    def _list(self, plan: Plan, operation: Operation, downstream: Downstream, ledger: Ledger) -> None:
        path = downstream.request.path
        dialect = _dialect_of(downstream.request, operation)
        if operation is MODEL or operation is GEMINI_MODEL:
            body = model_body(plan.table.models, dialect, model_in(path, operation))
        else:
            body = list_body(plan.table.models, dialect)
        if body is None:
            unknown = unknown_model(model_in(path, operation))
            return self._refuse(downstream, ledger, dialect, unknown)
        downstream.begin(200, JSON_TYPE + REQUEST_ID % ledger.request_id.encode(), len(body))
        return downstream.end(body)

    def _refuse(self, downstream: Downstream, ledger: Ledger, dialect: Dialect, refusal: Refusal) -> None:
        ledger.refused = refusal.kind.name.lower()
        send_refusal(downstream, dialect, refusal, request_id=ledger.request_id)


def _seen(operation: Operation, request: Request, body: bytes) -> Peek | BodyError:
    """Look at the body, or at the path where that names the model."""
    if operation.dialect is not _GEMINI:
        return peek(body)
    return peek_named(body, model_in(request.path, operation), stream=operation is STREAM_GENERATE)


def _dialect_of(request: Request, operation: Operation | None) -> Dialect:
    """Return the caller's format: the path's, else what its headers show."""
    if operation is None or operation is MODELS or operation is MODEL:
        return dialect_shown(request.path, request.headers)
    return operation.dialect


def _request_id(request: Request) -> str:
    """Return the caller's own id if it is sane, else a fresh one."""
    for name, value in request.headers if request.has_id else ():
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return value.decode("ascii")
    return request_id()
