"""AdmissionReview v1 on the wire: the request as far as we read it, and the answer.

Source: kubernetes.io, "Dynamic Admission Control", webhook request and response (read 2026-11-21).
"""

import base64
from dataclasses import dataclass
from typing import Any, Final

import msgspec

API_VERSION: Final = "admission.k8s.io/v1"
MAX_WARNING_CHARS: Final = 256
"""The API server may cut what is longer."""
MAX_WARNINGS: Final = 10
INVALID: Final = 422
"""What the API server itself answers for an object that does not fit its schema."""


class Kind(msgspec.Struct, frozen=True):
    """The kind of the object."""

    kind: str
    group: str = ""


class UserInfo(msgspec.Struct, frozen=True):
    """Who asks, as the API server knows them."""

    username: str = ""


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """What is about to happen."""

    uid: str
    kind: Kind
    operation: str
    name: str = ""
    """Empty when the API server has yet to make one (`generateName`)."""
    namespace: str = ""
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None
    dry_run: bool = False
    user_info: UserInfo = UserInfo()


class Review(msgspec.Struct, frozen=True, rename="camel"):
    """The envelope."""

    request: Request
    api_version: str = API_VERSION


@dataclass(frozen=True, slots=True)
class Answer:
    """What we say to it."""

    allowed: bool = True
    message: str = ""
    """Why not; shown to whoever sent the object."""
    patch: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


def read_review(body: bytes) -> Request:
    """Return the request in a review.

    Raises:
        ValueError: it is no AdmissionReview of version v1.

    """
    try:
        review = msgspec.json.decode(body, type=Review)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"no AdmissionReview: {error}") from None
    if review.api_version != API_VERSION:
        raise ValueError(f"{review.api_version[:60]!r} is not {API_VERSION}")
    return review.request


def write_review(uid: str, answer: Answer) -> bytes:
    """Return the answer as the API server reads it."""
    response: dict[str, Any] = {"uid": uid, "allowed": answer.allowed}
    if not answer.allowed:
        response["status"] = {"code": INVALID, "reason": "Invalid", "message": answer.message}
    if answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(msgspec.json.encode(answer.patch)).decode("ascii")
    if answer.warnings:
        response["warnings"] = [_clipped(text) for text in answer.warnings[:MAX_WARNINGS]]
    return msgspec.json.encode({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})


def _clipped(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_WARNING_CHARS else line[: MAX_WARNING_CHARS - 1] + "…"
