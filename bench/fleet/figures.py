"""What a run has measured; kept as JSON in the cache, shown by `table` and `plot`."""

import msgspec

SIZES = (50, 100, 250, 500, 1000)
TARGET_SIZE = 500
PROVIDERS = 200


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Many durations in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    missing: int = 0
    """How many never came."""


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """The operator while nothing changes."""

    seconds: float
    memory_bytes: int
    cpu_percent: float
    """Of one core."""
    busy_cpu_percent: float
    """The same with every light sidecar serving a request a second."""
    writes: dict[str, int]
    """By kind and verb, the Lease's left out, in the quiet window."""
    lease_writes: int


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one size of the fleet."""

    sidecars: int
    linked_s: float
    """From the pods' creation to the last new sidecar's running its snapshot."""
    apply: Spread
    """A changed provider sent -> each sidecar runs it; one value per change and sidecar."""
    apply_all: Spread
    """The same until the last sidecar runs it; one value per change."""
    trip: Spread
    """A 429 at one -> each other refrains; one value per trip and sidecar."""
    trip_all: Spread
    real_apply: Spread
    """The real sidecars among them, polled."""
    real_trip: Spread
    change_cpu_ms: float
    """The operator's CPU time per changed object, all that follows from it included."""
    trip_cpu_ms: float
    """The same per 429 and the recovery that ends it: two pushes to everybody."""
    change_sidecar_ms: float
    """CPU time of the light sidecars per changed object, in sum: on this machine they share its cores."""
    trip_sidecar_ms: float
    steady: Steady


class Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """How long the fleet was without a leader."""

    how: str
    runs: int
    first: Spread
    """From the signal to the first sidecar linked by the new leader."""
    last: Spread
    """To the last one."""


class Run(msgspec.Struct, kw_only=True):
    """One whole run; filled while it goes on."""

    date: str
    machine: dict[str, str]
    api_server: str
    quick: bool
    sizes: list[Size]
    takeovers: list[Takeover]
    takeover_size: int
    mutual_tls: Size | None = None
    """The target's size over mutual TLS, as clusters have it; the others are with a token in clear."""
    load: float = 0.0
    """The machine's load average at the beginning: what else it had to do."""
    broke_off: str = ""
    """Why sizes are missing."""


def spread(seconds: list[float], *, missing: int = 0) -> Spread:
    """Return the spread of durations in seconds; nearest rank."""
    ordered = sorted(seconds)
    if not ordered:
        return Spread(count=0, p50_ms=0, p99_ms=0, max_ms=0, missing=missing)

    def rank(percent: int) -> float:
        return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] * 1000

    return Spread(
        count=len(ordered), p50_ms=rank(50), p99_ms=rank(99), max_ms=ordered[-1] * 1000, missing=missing
    )
