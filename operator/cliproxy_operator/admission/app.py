"""HTTP of the webhooks: an AdmissionReview in, an AdmissionReview out. Served by every replica.

A question that cannot be read gets a 400, a defect of ours a 500: the API server then does what the webhook
configuration's failurePolicy says. Nothing is written here, so dry runs need no care.
"""

import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from cliproxy_operator.admission import review
from cliproxy_operator.admission.desk import Desk
from cliproxy_operator.admission.review import Answer
from cliproxy_operator.metrics import Metrics

log = logging.getLogger(__name__)

MAX_BODY_BYTES: Final = 8 * 2**20
"""A review holds an object twice on updates, and etcd takes 1.5 MiB of one."""
PODS_PATH: Final = "/admission/pods"
OBJECTS_PATH: Final = "/admission/objects"

Decide = Callable[[review.Request], Awaitable[tuple[Answer, str]]]


def make_admission_app(desk: Desk, metrics: Metrics) -> FastAPI:
    """Return the application of the webhook port."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.post(PODS_PATH)
    async def pods(request: Request) -> Response:
        return await _answer(request, "pods", desk.pod, metrics)

    @app.post(OBJECTS_PATH)
    async def objects(request: Request) -> Response:
        return await _answer(request, "objects", desk.object, metrics)

    return app


async def _answer(request: Request, webhook: str, decide: Decide, metrics: Metrics) -> Response:
    started_s = perf_counter()
    body = await _body(request)
    if body is None:
        metrics.admissions.labels(webhook, "unreadable").inc()
        return PlainTextResponse(f"a review may have {MAX_BODY_BYTES} bytes", status_code=413)
    try:
        asked = review.read_review(body)
    except ValueError as error:
        metrics.admissions.labels(webhook, "unreadable").inc()
        return PlainTextResponse(str(error)[:500], status_code=400)
    try:
        answer, result = await decide(asked)
    except Exception:
        metrics.admissions.labels(webhook, "defect").inc()
        raise
    metrics.admissions.labels(webhook, result).inc()
    metrics.admission_s.labels(webhook).observe(perf_counter() - started_s)
    if not answer.allowed:
        log.info(
            "object refused",
            extra={
                "kind": asked.kind.kind,
                "object": f"{asked.namespace}/{asked.name}",
                "why": answer.message,
            },
        )
    return Response(review.write_review(asked.uid, answer), media_type="application/json")


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)
