"""Whether a caller of the operations API may do what they ask: asked of the API server, never decided here.

TokenReview says who it is, SubjectAccessReview whether they may do the same to the LLMProvider in Kubernetes.
Answers are kept for some seconds under a hash of the token, so that a dashboard costs few reviews; a revoked
right lasts that long at most. A refused call leaves a line in the audit log; what is changed, its doer tells.
"""

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

from cliproxy_api.audit import AuditEvent, AuditOutcome
from cliproxy_operator.audit import Audit
from cliproxy_operator.clock import Clock
from cliproxy_operator.kinds import PROVIDER
from cliproxy_operator.kube import ApiError, Kube

log = logging.getLogger(__name__)

MAX_TOKEN_CHARS: Final = 16_384
KEPT_S: Final = 5.0
MAX_KEPT: Final = 1024
MAX_ASKING: Final = 16
"""Callers whose reviews are under way; with that many more are turned away, not queued at the API server."""
MAX_NAME_CHARS: Final = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to do, in Kubernetes' words."""

    verb: Literal["list", "get", "update"]
    namespace: str
    """Empty: all namespaces."""
    name: str = ""
    """Empty: the collection."""

    def __str__(self) -> str:
        """Return it as a sentence's end."""
        what = f"llmproviders/{self.name}" if self.name else "llmproviders"
        return (
            f"{self.verb} {what} in {f'namespace {self.namespace}' if self.namespace else 'all namespaces'}"
        )


@dataclass(frozen=True, slots=True)
class Denied:
    """Why not: an HTTP status and a sentence."""

    status: int
    reason: str
    """One bounded word, for metrics."""
    message: str


class Kept(Generic[T]):
    """Answers for a while, the oldest go first."""

    def __init__(self, *, kept_s: float = KEPT_S, at_most: int = MAX_KEPT) -> None:
        self._kept_s = kept_s
        self._at_most = at_most
        self._answers: OrderedDict[object, tuple[float, T]] = OrderedDict()

    def get(self, key: object, now: float) -> tuple[T] | None:
        """Return the answer, in a tuple as it may be None; None if there is none that is fresh."""
        found = self._answers.get(key)
        return (found[1],) if found is not None and now - found[0] < self._kept_s else None

    def put(self, key: object, answer: T, now: float) -> None:
        """Keep an answer."""
        self._answers[key] = (now, answer)
        self._answers.move_to_end(key)
        while len(self._answers) > self._at_most:
            self._answers.popitem(last=False)


class Doorkeeper:
    """Asks the API server."""

    def __init__(self, kube: Kube, clock: Clock, audit: Audit) -> None:
        self._audit = audit
        self._kube = kube
        self._clock = clock
        self._asking = 0
        self._users: Kept[dict[str, Any] | None] = Kept()
        self._rights: Kept[bool] = Kept()

    async def admit(self, authorization: str | None, question: Question, *, peer: str) -> Denied | None:
        """Return None if the bearer of this header may do that, else why not; `peer` called, for the log."""
        user, denied = await self._decide(authorization, question)
        if denied is not None:
            stranger = denied.status == 401  # noqa: PLR2004 -- HTTP's own
            self._audit.tell(
                AuditEvent.AUTHENTICATION_FAILURE if stranger else AuditEvent.ACCESS_REFUSED,
                AuditOutcome.REFUSED,
                reason=denied.reason,
                who=name_of(user),
                origin=peer,
                subject=subject_of(question.namespace, question.name),
                verb=question.verb,
            )
        log.debug("operations call", extra={"user": name_of(user), "question": str(question)})
        return denied

    def who(self, authorization: str | None) -> str:
        """Return the name of somebody who has just been admitted; "" if that is too long ago."""
        token = (authorization or "").partition(" ")[2].strip()
        kept = self._users.get(_hash(token), self._clock.now())
        return name_of(kept[0]) if kept is not None else ""

    async def _decide(
        self, authorization: str | None, question: Question
    ) -> tuple[dict[str, Any] | None, Denied | None]:
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return None, Denied(401, "no_token", "send `Authorization: Bearer TOKEN` with a Kubernetes token")
        if len(token) > MAX_TOKEN_CHARS:
            return None, Denied(401, "bad_token", "the token is too long to be one")
        try:
            user = await self._who(token)
            if user is None:
                return None, Denied(401, "bad_token", "the API server does not know this token")
            if await self._may(token, user, question):
                return user, None
        except ApiError as error:
            return None, Denied(503, "unavailable", f"the API server cannot be asked: {error.reason}")
        return user, Denied(403, "forbidden", f"{name_of(user)} may not {question}")

    async def _who(self, token: str) -> dict[str, Any] | None:
        key = _hash(token)
        if (kept := self._users.get(key, self._clock.now())) is not None:
            return kept[0]
        answer = await self._ask(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}},
        )
        status = answer.get("status") or {}
        known = status.get("authenticated") is True and isinstance(status.get("user"), dict)
        user: dict[str, Any] | None = status["user"] if known else None
        self._users.put(key, user, self._clock.now())
        return user

    async def _may(self, token: str, user: dict[str, Any], question: Question) -> bool:
        key = (_hash(token), question)
        if (kept := self._rights.get(key, self._clock.now())) is not None:
            return kept[0]
        attributes = {
            "group": PROVIDER.group,
            "version": PROVIDER.version,
            "resource": PROVIDER.plural,
            "verb": question.verb,
            "namespace": question.namespace,
            "name": question.name,
        }
        spec = {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
            "resourceAttributes": {name: value for name, value in attributes.items() if value},
        }
        answer = await self._ask(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec},
        )
        allowed = (answer.get("status") or {}).get("allowed") is True
        self._rights.put(key, allowed, self._clock.now())
        return allowed

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._asking >= MAX_ASKING:
            raise ApiError(0, "TooManyCallers", "too many callers are being reviewed")
        self._asking += 1
        try:
            return await self._kube.ask(path, body)
        finally:
            self._asking -= 1


def subject_of(namespace: str, name: str) -> str:
    """Return what a question is about, as the audit log names objects; all of a kind has the name `*`."""
    return f"LLMProvider/{namespace or '*'}/{name or '*'}"


def name_of(user: dict[str, Any] | None) -> str:
    """Return a user's name for messages and the log; "" for nobody."""
    return str((user or {}).get("username", ""))[:MAX_NAME_CHARS]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
