"""What one run of the race measured, as values: written as JSON, drawn as table and plot.

Latencies are microseconds as the caller saw them; what a gateway adds is the difference to going direct.
"""

import msgspec

CONNECTIONS = (1, 32, 256)
STREAMS = 200


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Requests as fast as they were answered, over a fixed number of connections."""

    requests_per_s: float
    p50_us: float
    p99_us: float
    failed: int
    cpu_us: float
    """CPU of the gateway per request."""
    busy: float
    """Share of its core that the gateway used; below 0.9 the load was the limit, not the gateway."""


class Paced(msgspec.Struct, frozen=True, kw_only=True):
    """Requests at a fixed rate, due at random instants; latency counts from the instant one was due."""

    rate_per_s: float
    p50_us: float
    p99_us: float
    failed: int
    late: int
    """Requests still unanswered at the end: the rate was too much."""
    sent_late_p99_us: float = 0.0
    """How late the load generator itself was; in the latencies of all contenders, and of going direct."""


class Streaming(msgspec.Struct, frozen=True, kw_only=True):
    """Many streams side by side."""

    tokens: int
    seconds: float
    streams: int
    broken: int
    first_p50_us: float
    """From the request to its first token."""
    first_p99_us: float
    token_p50_us: float
    """From the provider's write of a token to the caller's reading it."""
    token_p99_us: float
    cpu_us: float = 0.0
    """CPU of the gateway per token."""
    busy: float = 0.0
    """See `Load.busy`."""

    @property
    def tokens_per_s(self) -> float:
        """Tokens that reached callers, per second."""
        return self.tokens / self.seconds


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One contender's figures."""

    key: str
    title: str
    version: str
    kind: str
    """ours, gateway, limit (not a gateway for LLMs) or direct."""
    start_s: float | None = None
    memory_bytes: int | None = None
    loads: dict[int, Load]
    half: Paced | None = None
    half_direct: Paced | None = None
    """The same rate without the gateway."""
    paced: Streaming | None = None
    flood: Streaming | None = None


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A contender that could not be measured."""

    key: str
    title: str
    reason: str


class Race(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    date: str
    machine: dict[str, str]
    tools: dict[str, str]
    quick: bool
    results: list[Result]
    missing: list[Missing]

    def of(self, key: str) -> Result | None:
        """Return one contender's result."""
        return next((result for result in self.results if result.key == key), None)
