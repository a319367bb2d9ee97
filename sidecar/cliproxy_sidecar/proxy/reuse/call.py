"""One caller's request as doing-less sees it, and the words in which it tells the caller what it did."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from cliproxy_sidecar.core.body import Peek
from cliproxy_sidecar.core.dialect import Dialect, Operation
from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.proxy.downstream import Downstream, Sink
from cliproxy_sidecar.proxy.ledger import Ledger

CACHE_HEADER: Final = b"x-cliproxy-cache"
HIT: Final = "hit"
"""Given again."""
MISS: Final = "miss"
"""Asked of a provider; the answer may be kept."""
SHARED: Final = "shared"
"""Another caller's answer, while it came."""
BYPASS: Final = "bypass"
"""Asked of a provider because the caller, or the request's nature, wants that."""

_OF_ONE_CALL: Final = frozenset(
    {b"x-request-id", b"request-id", b"x-cliproxy-attempts", b"x-cliproxy-budget"}
)

Ask = Callable[[Sink, Ledger, bytes], Awaitable[None]]
"""Leads a request with this body to its end at a provider; the answer goes to that downstream."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request whose body is here; nothing has gone downstream."""

    operation: Operation
    downstream: Downstream
    ledger: Ledger
    body: bytes
    peek: Peek
    consumer: str
    """Who asks; "": unknown."""
    ask: Ask


def told(word: str) -> Header:
    """Return the header that says what was done."""
    return CACHE_HEADER, word.encode()


def own_head(headers: list[Header], call: Call, *, attempts: int = 0) -> list[Header]:
    """Return another call's head as this caller's; `attempts` at providers were made for it."""
    kept = [item for item in headers if item[0] not in _OF_ONE_CALL]
    request_id = call.ledger.request_id.encode()
    kept += [(b"x-cliproxy-attempts", str(attempts).encode()), (b"x-request-id", request_id)]
    kept += call.ledger.notes
    if call.operation.dialect is Dialect.ANTHROPIC:
        kept.append((b"request-id", request_id))
    return kept
