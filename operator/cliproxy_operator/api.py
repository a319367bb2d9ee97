"""HTTP on 8080: metrics, health, and the fleet's operations API. Served by every replica.

Metrics and health need no authority; reading the fleet takes the right to list LLMProviders, changing one the
right to update it (`access.py`). Who may not learn what there is, learns nothing. A replica that does not
lead passes a wish on to the leader as an annotation on the object. Bodies are `report.py`'s.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from cliproxy_api.audit import AuditEvent, AuditOutcome, peer_text
from cliproxy_api.durations import format_duration
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.version import __version__
from cliproxy_api.vocabulary import COOLDOWN_ANNOTATION, MANUAL_REASON, RECOVER_ANNOTATION
from cliproxy_operator import report
from cliproxy_operator.access import Doorkeeper, Question, subject_of
from cliproxy_operator.costing import spend_report
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.kinds import PROVIDER
from cliproxy_operator.kube import ApiError
from cliproxy_operator.manual import cooldown_s
from cliproxy_operator.money.costs import costs_body
from cliproxy_operator.wiring import Operator

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 4096
MAX_REASON_CHARS: Final = 200
READ_TIMEOUT_S: Final = 5.0
WRITTEN_S: Final = 2.0
"""How long an answer waits until what was asked for stands in status, where no leader's death can undo it."""
MAX_OWNERS: Final = 10
"""Namespaces that a bare name is looked for in."""


class CooldownWish(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a manual cooldown."""

    duration: str
    reason: str = MANUAL_REASON


def make_app(operator: Operator) -> FastAPI:
    """Return the application, without documentation pages: they would be public."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_exception_handler(HTTPException, _words)
    _health(app, operator)
    doorkeeper = Doorkeeper(operator.replica.kube, operator.replica.clock, operator.replica.audit)
    _views(app, operator, doorkeeper)
    _changes(app, operator, doorkeeper)
    return app


def _health(app: FastAPI, operator: Operator) -> None:
    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(operator.figures(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/health/live")
    async def live() -> JSONResponse:
        # Answered by the loop that does the work: if that is stuck, so is this.
        return JSONResponse({"status": "ok"})

    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        problems = operator.problems()
        body = {
            "status": "not_ready" if problems else "ok",
            "standing": operator.replica.leader.standing.value,
        }
        return JSONResponse({**body, "reasons": problems}, status_code=503 if problems else 200)

    @app.get("/health")
    async def health() -> JSONResponse:
        linked = sum(known.linked for known in operator.collector.all())
        return JSONResponse(
            {
                "status": "not_ready" if operator.problems() else "ok",
                "version": __version__,
                "standing": operator.replica.leader.standing.value,
                "epoch": operator.publisher.epoch,
                "sidecars": {"total": len(operator.collector.all()), "linked": linked},
                "reasons": operator.problems(),
            }
        )


def _views(app: FastAPI, operator: Operator, doorkeeper: Doorkeeper) -> None:
    namespaces = Annotated[str | None, Query(max_length=253)]

    @app.get("/v0/operations/providers/status")
    async def providers(request: Request, namespace: namespaces = None) -> JSONResponse:
        await _admit_reader(operator, doorkeeper, request, namespace)
        return JSONResponse(report.providers_status(_providers(operator, namespace)))

    @app.get("/v0/operations/cooldown/status")
    async def cooldowns(request: Request, namespace: namespaces = None) -> JSONResponse:
        await _admit_reader(operator, doorkeeper, request, namespace)
        return JSONResponse(
            report.cooldown_status(_providers(operator, namespace), operator.replica.clock.utc())
        )

    @app.get("/v0/operations/load_balancing/status")
    async def load_balancing(request: Request, namespace: namespaces = None) -> JSONResponse:
        await _admit_reader(operator, doorkeeper, request, namespace)
        return JSONResponse(report.load_balancing_status(_providers(operator, namespace)))

    @app.get("/v0/operations/costs")
    async def costs(request: Request, namespace: namespaces = None) -> JSONResponse:
        await _admit_reader(operator, doorkeeper, request, namespace)
        now_utc = operator.replica.clock.utc()
        day = now_utc.strftime("%Y-%m-%d")
        details = (operator.spending.details(period) for period in (day, day[:7]))
        report = spend_report(operator, namespace, now_utc)
        return JSONResponse(costs_body(*details, report=report, day=day, namespace=namespace))

    @app.get("/v0/operations/cache/stats")
    async def cache_stats(request: Request, namespace: namespaces = None) -> JSONResponse:
        await _admit_reader(operator, doorkeeper, request, namespace)
        known = (one for one in operator.collector.all() if namespace in (None, one.id.namespace))
        told = {str(one.id): one.reused for one in known}
        return JSONResponse(report.cache_stats(told))

    @app.get("/v0/operations/injection/status")
    async def injection(request: Request, namespace: namespaces = None) -> JSONResponse:
        await _admit_reader(operator, doorkeeper, request, namespace)
        return JSONResponse(report.injection_status(operator.survey.groups, namespace))

    @app.get("/v0/operations/circuit_breakers")
    async def circuit_breakers(request: Request, namespace: namespaces = None) -> JSONResponse:
        await _admit_reader(operator, doorkeeper, request, namespace)
        return JSONResponse(report.circuit_breakers(_providers(operator, namespace)))


def _changes(app: FastAPI, operator: Operator, doorkeeper: Doorkeeper) -> None:
    namespaces = Annotated[str | None, Query(max_length=253)]

    @app.post("/v0/operations/providers/{provider}/cooldown")
    async def cooldown(provider: str, request: Request, namespace: namespaces = None) -> JSONResponse:
        key = await _find(operator, doorkeeper, request, provider, namespace)
        wish = await _read(request)
        with _bad_request():
            seconds = cooldown_s(wish.duration)
        told = _Told(operator, doorkeeper, request, key, {"duration": format_duration(seconds)})
        if not operator.replica.leader.may_write():
            answer = await _pass_on(operator, key, {COOLDOWN_ANNOTATION: format_duration(seconds)})
            told.tell(AuditEvent.MANUAL_COOLDOWN, AuditOutcome.PASSED_ON, wish.reason)
            return answer
        reason = " ".join(wish.reason.split())[:MAX_REASON_CHARS] or MANUAL_REASON
        if not operator.host.cooldown(key.id, seconds, reason):
            told.tell(AuditEvent.MANUAL_COOLDOWN, AuditOutcome.REFUSED, "not in use")
            raise HTTPException(409, f"{key.id} is not in use: it is disabled or not accepted")
        told.tell(AuditEvent.MANUAL_COOLDOWN, AuditOutcome.DONE, reason)
        log.info("cooldown asked for", extra={"provider": key.id, "seconds": seconds})
        written = await operator.statuses.written(key, WRITTEN_S)
        body = {"provider": provider, "namespace": key.namespace, "cooling": True, "written": written}
        return JSONResponse({**body, **_state(operator, key)})

    @app.post("/v0/operations/providers/{provider}/recover")
    async def recover(provider: str, request: Request, namespace: namespaces = None) -> JSONResponse:
        key = await _find(operator, doorkeeper, request, provider, namespace)
        told = _Told(operator, doorkeeper, request, key, {})
        if not operator.replica.leader.may_write():
            answer = await _pass_on(operator, key, {RECOVER_ANNOTATION: "now"})
            told.tell(AuditEvent.MANUAL_RECOVERY, AuditOutcome.PASSED_ON, "")
            return answer
        ended = operator.host.recover(key.id)
        told.tell(AuditEvent.MANUAL_RECOVERY, AuditOutcome.DONE, "" if ended else "nothing was cooling")
        log.info("recovery asked for", extra={"provider": key.id, "ended": ended})
        written = await operator.statuses.written(key, WRITTEN_S)
        return JSONResponse(
            {"provider": provider, "namespace": key.namespace, "recovered": ended, "written": written}
        )


class _Told(NamedTuple):
    """One change that somebody asks for, for the audit log."""

    operator: Operator
    doorkeeper: Doorkeeper
    request: Request
    key: ObjectKey
    detail: dict[str, Any]

    def tell(self, event: AuditEvent, outcome: AuditOutcome, reason: str) -> None:
        """Say what became of it."""
        self.operator.replica.audit.tell(
            event,
            outcome,
            reason=reason,
            who=self.doorkeeper.who(self.request.headers.get("authorization")),
            origin=peer_text(self.request.client),
            subject=subject_of(self.key.namespace, self.key.name),
            via="operations API",
            **self.detail,
        )


def _providers(operator: Operator, namespace: str | None) -> list[report.Provider]:
    """Return every provider's status: as the leader sees it now, else as it was last written."""
    found: list[report.Provider] = []
    for owner, name in sorted(operator.replica.store.keys(PROVIDER)):
        if namespace not in (None, owner):
            continue
        key = ObjectKey(Kind.LLM_PROVIDER, owner, name)
        status = operator.statuses.now(key) if operator.replica.leader.may_write() else None
        if status is None:
            status = getattr(operator.replica.gatherer.one(key), "status", None)
        found.append((owner, name, status if isinstance(status, LLMProviderStatus) else LLMProviderStatus()))
    return found


async def _find(
    operator: Operator, doorkeeper: Doorkeeper, request: Request, provider: str, namespace: str | None
) -> ObjectKey:
    """Return the provider that the caller means and may change.

    Raises:
        HTTPException: 401 or 403 before anything is said of what there is; then 404, or 409 if it is not one.

    """
    known = operator.replica.store.keys(PROVIDER)
    if namespace:
        await _admit(operator, doorkeeper, request, Question("update", namespace, provider))
        if (namespace, provider) in known:
            return ObjectKey(Kind.LLM_PROVIDER, namespace, provider)
        raise HTTPException(404, f"there is no provider {provider[:100]!r} in namespace {namespace}")
    owners = sorted(owner for owner, name in known if name == provider)[:MAX_OWNERS]
    theirs = [owner for owner in owners if await _may(operator, doorkeeper, request, owner, provider)]
    if len(theirs) == len(owners) == 1:
        return ObjectKey(Kind.LLM_PROVIDER, theirs[0], provider)
    if theirs:
        choices = ", ".join(f"?namespace={owner}" for owner in theirs)
        raise HTTPException(409, f"{provider} is in more than one namespace; say which: {choices}")
    await _admit(operator, doorkeeper, request, Question("update", "", provider))
    raise HTTPException(404, f"there is no provider {provider[:100]!r}")


async def _may(
    operator: Operator, doorkeeper: Doorkeeper, request: Request, namespace: str, name: str
) -> bool:
    """Whether the caller may change this provider; whoever nobody knows is refused outright."""
    try:
        await _admit(operator, doorkeeper, request, Question("update", namespace, name))
    except HTTPException as refusal:
        if refusal.status_code == 403:  # noqa: PLR2004 -- HTTP's own number
            return False
        raise
    return True


async def _admit_reader(
    operator: Operator, doorkeeper: Doorkeeper, request: Request, namespace: str | None
) -> None:
    """Let pass who may list providers where they ask: in one namespace, or in all that are served."""
    for where in [namespace] if namespace else operator.replica.settings.namespaces or ("",):
        await _admit(operator, doorkeeper, request, Question("list", where))


async def _admit(operator: Operator, doorkeeper: Doorkeeper, request: Request, question: Question) -> None:
    peer = peer_text(request.client)
    denied = await doorkeeper.admit(request.headers.get("authorization"), question, peer=peer)
    if denied is None:
        return
    operator.replica.metrics.authentication_failures.labels(denied.reason).inc()
    headers = {"WWW-Authenticate": "Bearer"} if denied.status == 401 else None  # noqa: PLR2004 -- HTTP's own
    hint = ""
    if denied.reason == "forbidden" and question.verb == "list" and not question.namespace:
        hint = "; ask for one of your namespaces: ?namespace=NAME"
    raise HTTPException(denied.status, denied.message + hint, headers)


async def _pass_on(operator: Operator, key: ObjectKey, annotations: dict[str, str]) -> JSONResponse:
    try:
        await operator.writer.request(key, annotations)
    except ApiError as error:
        raise HTTPException(
            503, f"this replica does not lead, and could not tell the leader: {error}"
        ) from None
    return JSONResponse({"provider": key.name, "namespace": key.namespace, "accepted": True}, status_code=202)


async def _read(request: Request) -> CooldownWish:
    body = bytearray()
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise HTTPException(413, f"the body may have {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        raise HTTPException(408, "the body did not come in time") from None
    with _bad_request():
        return msgspec.json.decode(bytes(body), type=CooldownWish)
    raise AssertionError


@contextmanager
def _bad_request() -> Iterator[None]:
    try:
        yield
    except (ValueError, msgspec.MsgspecError) as error:
        example = '{"duration": "10m", "reason": "manual"}'
        raise HTTPException(400, f"{error}; send {example}") from None


def _state(operator: Operator, key: ObjectKey) -> dict[str, Any]:
    until = [entry.until_utc for entry in operator.host.fleet.cooldowns(key.id)]
    return {"ends_at": max(until).isoformat().replace("+00:00", "Z") if until else None}


async def _words(_request: Request, error: Exception) -> Response:
    """Answer every refusal as JSON with one sentence."""
    if not isinstance(error, HTTPException):
        raise error
    body = {"error": {"status": error.status_code, "message": str(error.detail)}}
    return JSONResponse(body, status_code=error.status_code, headers=dict(error.headers or {}) or None)
