"""What a sidecar tells the operator: one JSON line each on `GET /v0/control/reports`.

The stream is level-based: it begins with `Hello` and everything that is still true (own cooldowns, traffic,
last probes), so nothing is lost by a broken link. Times are told as seconds from now; clocks need not agree.
The one instant (`Tripped.until_utc`) is a leader's own.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import SCHEMA_VERSION, Running
from cliproxy_api.state import Evidence
from cliproxy_api.vocabulary import OutcomeClass


class Trying(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One half-open trial that is under way at the sidecar that says so."""

    scope: Scope
    level: int = 0
    """The level of the cooldown that it belongs to."""
    age_s: float = 0.0
    """How long ago it began: it counts for as long as the provider's time limit has not passed."""


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", tag_field="kind"):
    """First line of a stream: who speaks and what it runs."""

    schema_version: int = SCHEMA_VERSION
    sidecar: str
    """The pod's name."""
    namespace: str
    version: str
    running: Running
    encodings: tuple[str, ...] = ()
    """In which content codings it takes pushes, besides as they are: "deflate" (RFC 9110 section 8.4.1.2)."""
    keeps_parts: bool = False
    """Whether it tells `Taken` and keeps the parts that `PartsPush` gives it; older ones do neither."""
    trying: tuple[Trying, ...] = ()
    """Trials under way, whoever permitted them: no other sidecar may try these scopes meanwhile.

    In this very line, so that whoever reads it knows all of them at once: none begins between it and the
    reader's first document.
    """


class Applied(msgspec.Struct, frozen=True, kw_only=True, tag="applied", tag_field="kind"):
    """What runs has changed, or a push was refused."""

    running: Running


class Tripped(msgspec.Struct, frozen=True, kw_only=True, tag="tripped", tag_field="kind", omit_defaults=True):
    """A cooldown began, or was made longer, by this sidecar's own finding."""

    scope: Scope
    outcome_class: OutcomeClass | None
    """None: asked for by a person."""
    reason: str
    remaining_s: float
    level: int = 0
    fleet: bool = True
    """False: the policy keeps it to this sidecar (`scope: Sidecar`); for status only."""
    evidence: Evidence = Evidence()
    age_s: float = 0.0
    """How long ago this sidecar found it, or learned of it: a person may have ended it since."""
    until_utc: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """Its end as a document has it, when it is told to a later leader; None: not told by any."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", tag_field="kind"):
    """Failures that count towards a threshold, since the last such line for the scope and class."""

    scope: Scope
    outcome_class: OutcomeClass
    count: int
    evidence: Evidence = Evidence()


class TrialStarted(msgspec.Struct, frozen=True, kw_only=True, tag="trial_started", tag_field="kind"):
    """This sidecar uses the fleet's half-open permit: it stays here until the trial is settled.

    Without this line the permit moves on to another sidecar as if it were unused.
    """

    scope: Scope
    level: int
    """The level of the cooldown that the permit belongs to."""


class TrialSettled(msgspec.Struct, frozen=True, kw_only=True, tag="trial", tag_field="kind"):
    """A half-open trial passed. One that failed is told as `Tripped` with the next level."""

    scope: Scope
    level: int
    """The level of the cooldown the trial belongs to; another level is a late answer and does not count."""


class Recovered(msgspec.Struct, frozen=True, kw_only=True, tag="recovered", tag_field="kind"):
    """A person asked this sidecar to end all cooldowns of a provider."""

    provider: str
    by: str


class Probed(msgspec.Struct, frozen=True, kw_only=True, tag="probed", tag_field="kind", omit_defaults=True):
    """One active probe has ended."""

    provider: str
    ok: bool
    healthy: bool
    """The verdict after thresholds."""
    latency_ms: int
    error: str = ""
    """Why it failed, one line."""


class ProviderTraffic(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One provider's last 60 seconds at one sidecar."""

    requests: int = 0
    errors: int = 0
    tokens: int = 0
    rate_limited: int = 0
    """Errors that were answers saying "too many": the provider's rate limit."""
    key_refusals: int = 0
    """Errors that were answers refusing our key."""
    nano_usd: int = 0
    """What answers cost, where prices are known."""
    latency_sum_ms: int = 0
    latency_buckets: dict[int, int] = {}
    """Upper bound in ms -> attempts at or below it and above the bound before; -1 is "more than the last"."""
    remaining_requests: int | None = None
    """The provider's own word from its last answer, if it gave one."""
    remaining_tokens: int | None = None


class Reused(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one sidecar did not have to ask, since its start."""

    entries: int = 0
    """Answers kept now."""
    bytes: int = 0
    """What they take now."""
    hits: int = 0
    """Answers given again from its own memory."""
    redis_hits: int = 0
    """Answers given again from the shared second level."""
    misses: int = 0
    """Answers found nowhere."""
    shared: int = 0
    """Requests answered by another's in flight."""
    batches: int = 0
    """Joined embedding requests."""
    batched: int = 0
    """Requests that were joined in them."""


class Taken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one sidecar takes of a limit that the fleet shares, in millionths of the whole limit."""

    used: int = 0
    """In the last minute, or in flight: of requests, tokens and requests in flight the fullest."""
    part: int
    """What it keeps to now."""
    pressed: bool = False
    """Whether that was too little for somebody lately."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True, tag="traffic", tag_field="kind", omit_defaults=True):
    """Sliding-minute figures by provider id; sent only when they changed, and at the start of a stream."""

    providers: dict[str, ProviderTraffic]
    reused: Reused | None = None
    """None: nothing is kept, shared or joined there."""
    taken: dict[str, Taken] = {}
    """Of providers' rate limits, by id; absent: nothing, and the floor is kept to."""
    consumers_taken: dict[str, Taken] = {}
    """The same of its consumers', by name."""


class UsedEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one consumer has used of one model at one provider in one day, by one sidecar.

    Figures are cumulative within the day and the sidecar's life, so a repeated entry changes nothing.
    """

    day: str
    """UTC by the sidecar's clock, as "2026-11-21"."""
    provider: str
    """Its id, or "other" beyond the bound of keys."""
    model: str
    """As callers name it."""
    consumer: str = ""
    """"": no consumers are configured."""
    requests: int = 0
    """Attempts that were answered, or that were given up when tokens had been used."""
    tokens: int = 0
    nano_usd: int = 0
    estimated_nano_usd: int = 0
    """Part of `nano_usd` that stands on tokens which no provider has counted."""
    input: int = 0
    """Fresh input tokens; with the next four these make up `tokens`."""
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    reused: int = 0
    """Requests that got another's answer, kept or in flight: nobody was asked."""
    saved_nano_usd: int = 0
    """What those answers had cost when they were made."""


class Used(msgspec.Struct, frozen=True, kw_only=True, tag="used", tag_field="kind", omit_defaults=True):
    """What was used: entries that changed, and all of today at the start of a stream."""

    boot: str
    """Names this life of the sidecar: with another one all figures begin at 0 again."""
    age_s: float = 0.0
    """Since when this life goes on: a younger sidecar than the leader was counted by nobody before."""
    standing: bool = False
    """All of today is told, in one or several lines: a stream has begun."""
    entries: tuple[UsedEntry, ...]


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat", tag_field="kind"):
    """Nothing new, still here."""


Report = (
    Hello
    | Applied
    | Tripped
    | Failed
    | TrialStarted
    | TrialSettled
    | Recovered
    | Probed
    | Traffic
    | Used
    | Heartbeat
)
