"""`POST /v0/feedback`: a caller's score of an answer, counted by provider and model.

Beside the data path: costs a request nothing. What a body says and whose answer it was `core.feedback` knows.
"""

from typing import Final

from cliproxy_sidecar.core.decisions import MAX_REQUESTS
from cliproxy_sidecar.core.dialect import dialect_shown
from cliproxy_sidecar.core.errors import ErrorKind
from cliproxy_sidecar.core.feedback import (
    MAX_FEEDBACK_BYTES,
    BadFeedback,
    Ratings,
    read_feedback,
)
from cliproxy_sidecar.proxy.downstream import BodyTooLarge, BodyTooSlow, Downstream
from cliproxy_sidecar.proxy.refusal import REQUEST_ID, Refusal, send_refusal
from cliproxy_sidecar.runtime.metrics import Metrics

PATH: Final = "/v0/feedback"
_WORDS: Final = {
    "unknown": (
        ErrorKind.UNKNOWN_REQUEST,
        (
            f"No request of this id is known: the last {MAX_REQUESTS} of this sidecar are, by the answer's "
            "x-request-id; an answer whose x-cliproxy-cache is hit or shared was made for another request."
        ),
    ),
    "unanswered": (ErrorKind.UNKNOWN_REQUEST, "No provider answered that request."),
    "rated": (ErrorKind.ALREADY_RATED, "That request has been rated; the first score counts."),
}


class FeedbackDoor:
    """Takes scores."""

    def __init__(self, ratings: Ratings, metrics: Metrics) -> None:
        self._ratings = ratings
        self._metrics = metrics

    async def serve(self, downstream: Downstream, request_id: str, stranger: Refusal | None) -> None:
        """Answer one request; `stranger`: why the caller is not heard at all."""
        refusal = stranger or await self._take(downstream)
        if refusal is not None:
            request = downstream.request
            dialect = dialect_shown(request.path, request.headers)
            return send_refusal(downstream, dialect, refusal, request_id=request_id)
        downstream.begin(204, REQUEST_ID % request_id.encode())
        return downstream.end()

    async def _take(self, downstream: Downstream) -> Refusal | None:
        if downstream.request.method != "POST":
            message = f"{PATH} takes POST, not {downstream.request.method[:20]}."
            return Refusal(ErrorKind.WRONG_METHOD, message, allow=b"POST")
        try:
            body = await downstream.read_body(at_most_bytes=MAX_FEEDBACK_BYTES)
        except BodyTooLarge:
            return Refusal(ErrorKind.TOO_LARGE, f"Feedback may have {MAX_FEEDBACK_BYTES} bytes.")
        except BodyTooSlow:
            return Refusal(ErrorKind.CALLER_TIMEOUT, "The request's body did not come in time.")
        told = read_feedback(body)
        if isinstance(told, BadFeedback):
            return Refusal(ErrorKind.MALFORMED, told.message, param=told.param)
        rated = self._ratings.rate(told.request_id)
        if isinstance(rated, str):
            kind, message = _WORDS[rated]
            return Refusal(kind, message, param="request_id")
        self._metrics.quality.observe(rated, told.score)
        return None
