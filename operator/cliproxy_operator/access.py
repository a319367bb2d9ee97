"""Whether a caller of the operations API may change a provider: asked of the API server, never decided here.

TokenReview says who it is, SubjectAccessReview whether they may `update` that LLMProvider. Nothing is cached:
such calls are rare, and a revoked right must hold at once.
"""

from dataclasses import dataclass
from typing import Any, Final

from cliproxy_operator.kinds import PROVIDER
from cliproxy_operator.kube import ApiError, Kube

MAX_TOKEN_CHARS: Final = 16_384


@dataclass(frozen=True, slots=True)
class Denied:
    """Why not: an HTTP status and a sentence."""

    status: int
    reason: str
    """One bounded word, for metrics."""
    message: str


class Doorkeeper:
    """Asks the API server."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def admit(self, authorization: str | None, *, namespace: str, name: str) -> Denied | None:
        """Return None if the bearer of this header may update the provider, else why not."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return Denied(401, "no_token", "send `Authorization: Bearer TOKEN` with a Kubernetes token")
        if len(token) > MAX_TOKEN_CHARS:
            return Denied(401, "bad_token", "the token is too long to be one")
        try:
            user = await self._who(token)
            if user is None:
                return Denied(401, "bad_token", "the API server does not know this token")
            if await self._may_update(user, namespace, name):
                return None
        except ApiError as error:
            return Denied(503, "unavailable", f"the API server cannot be asked: {error.reason}")
        who = str(user.get("username", ""))[:200]
        return Denied(403, "forbidden", f"{who} may not update llmproviders/{name} in namespace {namespace}")

    async def _who(self, token: str) -> dict[str, Any] | None:
        answer = await self._kube.ask(
            "/apis/authentication.k8s.io/v1/tokenreviews",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}},
        )
        status = answer.get("status") or {}
        user = status.get("user")
        return user if status.get("authenticated") is True and isinstance(user, dict) else None

    async def _may_update(self, user: dict[str, Any], namespace: str, name: str) -> bool:
        spec = {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
            "resourceAttributes": {
                "group": PROVIDER.group,
                "version": PROVIDER.version,
                "resource": PROVIDER.plural,
                "verb": "update",
                "namespace": namespace,
                "name": name,
            },
        }
        answer = await self._kube.ask(
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec},
        )
        return (answer.get("status") or {}).get("allowed") is True
