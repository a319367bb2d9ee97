"""What callers asked of a scripted provider: the latest requests and counts of all.

Bounded in everything: the number of requests, the bytes kept of each, and the names counted.
"""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from cliproxy_dev.providers.script import Facts
from cliproxy_dev.providers.server import Request

KEPT_REQUESTS = 1_000
KEPT_BODY_BYTES = 1024 * 1024
"""A test that looks at more of a body than this measures sizes, not content."""
MAX_NAMES = 200
"""Distinct names per count; more fold into `other` so that a fuzzing caller cannot fill the memory."""
SECRET_HEADERS = frozenset({"authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request, numbered from 1; `credential` is the key's name, `behaviour` what it was answered with."""

    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    body_bytes: int
    model: str | None
    credential: str
    behaviour: str

    def shown(self) -> dict[str, Any]:
        """Return the request for people and scripts: body as text, credentials left out."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": {n: v for n, v in self.headers.items() if n not in SECRET_HEADERS},
            "body": self.body.decode(errors="replace"),
            "body_bytes": self.body_bytes,
            "model": self.model,
            "credential": self.credential,
            "behaviour": self.behaviour,
        }


class Recorder:
    """Keeps the latest requests and counts all since the last reset."""

    def __init__(self) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=KEPT_REQUESTS)
        self.total = 0
        self._counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("path", "model", "credential", "behaviour")
        }

    def record(self, request: Request, facts: Facts, behaviour: str) -> None:
        """Keep one request."""
        self.total += 1
        self.requests.append(
            RecordedRequest(
                self.total,
                request.method,
                request.path,
                request.query,
                request.headers,
                request.body[:KEPT_BODY_BYTES],
                len(request.body),
                facts.model,
                facts.credential,
                behaviour,
            )
        )
        for kind, value in (
            ("path", facts.path),
            ("model", facts.model or "none"),
            ("credential", facts.credential),
            ("behaviour", behaviour),
        ):
            counts = self._counts[kind]
            counts[value if value in counts or len(counts) < MAX_NAMES else "other"] += 1

    def since(self, number: int) -> list[RecordedRequest]:
        """Return the kept requests with a higher number."""
        return [request for request in self.requests if request.number > number]

    def counts(self) -> dict[str, Any]:
        """Return the total and the counts by path, model, credential and behaviour."""
        return {"requests": self.total} | {f"by_{kind}": dict(c) for kind, c in self._counts.items()}

    def clear(self) -> None:
        """Forget everything; numbers begin at 1 again."""
        self.requests.clear()
        self.total = 0
        for counts in self._counts.values():
            counts.clear()
