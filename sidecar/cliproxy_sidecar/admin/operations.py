"""`/v0/operations`: this sidecar's view of its providers, and the levers for people. FastAPI.

Loaded on first use (see `door`, which admits this machine only). The shapes are `views`', what a lever does
is the machines' business.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, HTTPException, Path, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from cliproxy_api.audit import AuditEvent, AuditOutcome, peer_text
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.snapshot import Provider, Snapshot
from cliproxy_api.vocabulary import MANUAL_REASON
from cliproxy_sidecar.admin import views
from cliproxy_sidecar.admin.costs import costs
from cliproxy_sidecar.admin.explain import balancing, explain
from cliproxy_sidecar.core.decisions import MAX_REQUESTS
from cliproxy_sidecar.runtime.audit import Audit
from cliproxy_sidecar.runtime.clock import now_s, utc_now
from cliproxy_sidecar.runtime.figures import Figures
from cliproxy_sidecar.runtime.machines import Machines

MAX_COOLDOWN_S = 30 * 86_400.0
"""A month; whoever wants longer disables the provider."""


MAX_REASON_CHARS = 200


class CooldownRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST providers/{provider}/cooldown`; whatever curl calls it, it is JSON."""

    duration: str = "10m"
    reason: str = MANUAL_REASON


def create_app(
    machines: Machines, snapshot: Callable[[], Snapshot | None], figures: Figures, audit: Audit
) -> FastAPI:
    """Return the application; paths begin with `/v0/operations`."""
    app = FastAPI(title="cliproxy sidecar operations", openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/v0/operations/providers/status")
    async def providers_status() -> dict[str, Any]:
        return views.providers_status(machines, snapshot(), _now())

    @app.get("/v0/operations/cooldown/status")
    async def cooldown_status() -> dict[str, Any]:
        return views.cooldown_status(machines, _now())

    @app.get("/v0/operations/load_balancing/status")
    async def load_balancing_status() -> dict[str, Any]:
        now = _now()
        status = views.load_balancing_status(machines, snapshot(), now)
        chooser = machines.chooser
        return {**status, "targets": {} if chooser is None else balancing(machines, chooser, now)}

    @app.get("/v0/operations/requests/{request_id}/explain")
    async def explain_request(request_id: Annotated[str, Path(max_length=128)]) -> dict[str, Any]:
        decided = machines.decisions.find(request_id)
        if decided is None:
            known = (
                f"the last {MAX_REQUESTS} are kept, by the answer's x-request-id; an answer whose"
                " x-cliproxy-cache is hit or shared was chosen for by another request"
            )
            raise HTTPException(404, f"no request {request_id!r} is known: {known}")
        return explain(decided, _now())

    @app.get("/v0/operations/circuit_breakers")
    async def circuit_breakers() -> dict[str, Any]:
        return views.circuit_breakers(machines, _now())

    @app.get("/v0/operations/costs")
    async def spent() -> dict[str, Any]:
        return costs(machines, _now())

    @app.get("/v0/operations/connections")
    async def connections() -> dict[str, Any]:
        return figures.connections()

    @app.get("/v0/operations/cache/stats")
    async def cache_stats() -> dict[str, Any]:
        return figures.cache()

    @app.post("/v0/operations/providers/{provider:path}/cooldown")
    async def cool(provider: Annotated[str, Path()], request: Request) -> dict[str, Any]:
        wish = _read(await request.body())
        known = _find(machines, provider)
        reason = " ".join(wish.reason.split())[:MAX_REASON_CHARS] or MANUAL_REASON
        machines.cool(known.id, _duration_s(wish.duration), reason)
        _tell(audit, AuditEvent.MANUAL_COOLDOWN, request, known, reason, wish.duration)
        period = views.cooldown_status(machines, _now())["cooldown_periods"].get(known.name)
        return {"provider": known.name, "in_cooldown": period is not None, "cooldown": period}

    @app.post("/v0/operations/providers/{provider:path}/recover")
    async def recover(provider: Annotated[str, Path()], request: Request) -> dict[str, Any]:
        known = _find(machines, provider)
        machines.recover(known.id, f"{MANUAL_REASON} at {machines.sidecar}")
        _tell(audit, AuditEvent.MANUAL_RECOVERY, request, known, "", None)
        return {"provider": known.name, "in_cooldown": False, "cooldown": None}

    _index(app)
    return app


def _index(app: FastAPI) -> None:
    """List what the routes made so far serve, to those who ask for it or for what is not there.

    Whoever asks for what is there in another way is told in which: a path is never said to be missing for it.
    """
    served = [
        f"{min(route.methods or ('GET',))} {route.path}"
        for route in app.routes
        if isinstance(route, APIRoute)
    ]

    @app.get("/v0/operations")
    async def index() -> dict[str, Any]:
        return {"served": served}

    async def elsewhere(scope: Scope, _receive: Receive, _send: Send) -> None:
        nothing = f"there is nothing at {scope['path'][:200]!r}"
        raise HTTPException(404, {"message": nothing, "served": served})

    async def otherwise(request: Request, error: Exception) -> JSONResponse:
        allow = (getattr(error, "headers", None) or {}).get("Allow", "")
        wrong = f"{request.url.path[:200]!r} takes {allow}, not {request.method[:20]}"
        return JSONResponse({"detail": wrong}, 405, {"allow": allow})

    app.router.redirect_slashes = False
    app.router.default = elsewhere
    app.add_exception_handler(405, otherwise)


def _read(body: bytes) -> CooldownRequest:
    if not body.strip():
        return CooldownRequest()
    try:
        return msgspec.json.decode(body, type=CooldownRequest | None) or CooldownRequest()
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        example = '{"duration": "10m", "reason": "manual"}'
        raise HTTPException(400, f"{error}; send {example}") from None


def _tell(  # noqa: PLR0917 -- one lever, pulled
    audit: Audit, event: AuditEvent, request: Request, provider: Provider, reason: str, duration: str | None
) -> None:
    audit.tell(
        event,
        AuditOutcome.DONE,
        reason=reason,
        who=request.scope.get("cliproxy.who", ""),
        origin=peer_text(request.client),
        subject=f"LLMProvider/{provider.id}",
        via="operations API",
        duration=duration,
    )


def _find(machines: Machines, wanted: str) -> Provider:
    for provider in machines.providers:
        if wanted in (provider.name, provider.id):
            return provider
    raise HTTPException(404, f"no provider {wanted[:200]!r} is configured here")


def _duration_s(text: str) -> float:
    try:
        duration_s = parse_duration_s(text)
    except ValueError as error:
        raise HTTPException(400, f"duration: {error}") from None
    if not 0 < duration_s <= MAX_COOLDOWN_S:
        raise HTTPException(400, f"duration: {text} is not between 1ms and 720h")
    return duration_s


def _now() -> views.Now:
    return views.Now(now_s(), utc_now())
