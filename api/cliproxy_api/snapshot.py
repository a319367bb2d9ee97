"""What a sidecar runs: the whole configuration, compiled from the objects of a namespace.

Durations are seconds, weights are relative integers. Credentials stand here by reference; their values travel
beside the snapshot in `SnapshotPush.secrets`, so a snapshot may be logged, compared and stored.
"""

from typing import Final

import msgspec

from cliproxy_api.reuse import Batching, Cache
from cliproxy_api.telling import LogFile, Tracing
from cliproxy_api.vocabulary import (
    Affinity,
    Condensation,
    CooldownScope,
    HealthCheckMode,
    LastResort,
    LogFormat,
    LogLevel,
    OnExceeded,
    OutcomeClass,
    ProviderType,
    QuotaReset,
    QuotaUnit,
    RecoveryProbe,
    Strategy,
    Trip,
)

SCHEMA_VERSION = 1
"""Raised when an older sidecar could misread a newer document; additive optional fields do not raise it."""


class Credential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key of a provider."""

    name: str
    secret: str
    """Where the value stands in `SnapshotPush.secrets`: "namespace/secret-name/key"; "": no key is sent."""
    secret_digest: str
    """Changes when the value does, so that a rotated key changes the snapshot's digest."""
    weight: int = 1


KEYLESS: Final = Credential(name="keyless", secret="", secret_digest="")
"""The one credential of a provider that takes none, so that it has targets like any other."""


class Pricing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model's tokens cost, in nano-dollars (1e-9 USD) per million tokens."""

    input: int
    """Fresh input."""
    output: int
    cached_input: int | None = None
    """None: as `input`."""
    cache_write: int | None = None
    """None: as `input`."""
    reasoning: int | None = None
    """None: as `output`."""


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A public model name and what the provider calls it."""

    name: str
    upstream_name: str
    context_window_tokens: int | None = None
    pricing: Pricing | None = None
    """Its own, or the provider's fallback; None: unknown."""


class Azure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Azure OpenAI's part of the address."""

    api_version: str
    deployment: str | None = None
    """None: the upstream model name is the deployment's name."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How long an attempt may take, in seconds."""

    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 60.0
    total_s: float = 600.0


class Retries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often the same provider is asked again."""

    attempts: int = 2
    """Attempts at this provider for one request, the first included; at least 1."""
    backoff_s: float = 0.2


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The unbilled probe of a provider."""

    enabled: bool = True
    interval_s: float = 30.0
    timeout_s: float = 10.0
    unhealthy_threshold: int = 3
    healthy_threshold: int = 2
    path: str | None = None
    """None: what the provider's type has for it (a model list)."""
    method: str = "GET"
    expected_statuses: tuple[int, ...] = ()
    """Empty: any status below 500 that is not an authentication failure proves that the provider answers."""
    mode: HealthCheckMode = HealthCheckMode.HTTP


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Our own limits of a provider, for the whole fleet; None: no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrent: int | None = None


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much of a provider the whole fleet may use in a period; periods begin at midnight UTC."""

    limit: int
    """In `unit`; for usd in nano-dollars. Above 0."""
    unit: QuotaUnit
    reset: QuotaReset = QuotaReset.MONTHLY


class ConnectionPool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Connections from one sidecar to one provider."""

    max_connections: int = 100
    max_idle_connections: int = 10
    idle_timeout_s: float = 90.0
    http2: bool = False


class ClassOverride(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy's own word on one outcome class."""

    duration_s: float | None = None
    trip: Trip | None = None


class Recovery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The way back from a cooldown."""

    check_interval_s: float = 30.0
    """Length of one ramp step."""
    probe: RecoveryProbe = RecoveryProbe.REQUEST
    trials: int = 1
    """Trial calls that must pass, one after the other, before the ramp (`halfOpenMaxCalls`)."""
    ramp_percent: tuple[int, ...] = (10, 25, 50, 100)
    max_attempts: int = 3
    """Failed trials that wait only `backoff_s`; later ones wait the class's full duration."""
    backoff_s: float = 30.0


class CooldownRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A provider's CooldownPolicy, or the built-in defaults, in force for it."""

    enabled: bool = True
    detection_window_s: float = 60.0
    error_threshold: int = 5
    default_s: float = 300.0
    rate_limit_s: float = 600.0
    error_s: float = 120.0
    quota_exhausted_s: float = 3600.0
    auth_s: float = 3600.0
    honor_provider_hints: bool = True
    max_duration_s: float = 86_400.0
    multiplier: float = 2.0
    jitter: float = 0.1
    """Share of a duration that is added at random, 0 to 1."""
    scope: CooldownScope = CooldownScope.FLEET
    last_resort: LastResort = LastResort.USE_LEAST_BAD
    max_wait_s: float = 5.0
    recovery: Recovery = Recovery()
    overrides: dict[OutcomeClass, ClassOverride] = {}


class Provider(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One LLMProvider that is accepted and enabled."""

    id: str
    """"namespace/name": unique in the fleet; scopes, state and reports use it."""
    name: str
    """What callers and metrics see: the object's name, or the id for another namespace's provider."""
    type: ProviderType
    base_url: str
    """Without a trailing slash; with the version path for the OpenAI-like types (".../v1")."""
    credentials: tuple[Credential, ...]
    models: tuple[Model, ...]
    priority: int = 1
    weight: int = 1
    headers: dict[str, str] = {}
    azure: Azure | None = None
    timeouts: Timeouts = Timeouts()
    retries: Retries = Retries()
    health_check: HealthCheck = HealthCheck()
    pool: ConnectionPool = ConnectionPool()
    cooldown: CooldownRules = CooldownRules()
    rate_limit: RateLimit | None = None
    quota: Quota | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much a consumer may spend in the whole fleet, in nano-dollars; None: no limit for the period."""

    daily: int | None = None
    weekly: int | None = None
    """From Monday."""
    monthly: int | None = None
    on_exceeded: OnExceeded = OnExceeded.WARN


class Consumer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A caller known by its API key."""

    name: str
    tier: str = "standard"
    secret: str = ""
    """Where the key stands in `SnapshotPush.secrets`; "": the Secret is missing, so nobody is this caller."""
    secret_digest: str = ""
    """Changes when the key does."""
    rate_limit: RateLimit | None = None
    budget: Budget | None = None
    admin: bool = False
    """Whether the caller may use the operations that change things, on a gateway."""


class RetryBudget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one request, and all of a sidecar together, may spend on further attempts."""

    timeout_s: float = 600.0
    """For one request over all its attempts."""
    percent: int = 20
    """Further attempts, of all requests of the last 10 seconds."""
    min_per_second: int = 10
    """Further attempts that are allowed besides."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one sidecar takes from its callers."""

    max_body_bytes: int = 32 * 1024 * 1024
    max_concurrent_requests: int = 1000
    max_header_bytes: int = 32 * 1024


class Drill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Faults made on purpose until an instant."""

    until_unix_s: float
    provider: str = ""
    """Name of the provider that seems to fail; "" is all."""
    status: int = 0
    """HTTP status in the provider's stead; 0: none."""
    status_percent: int = 100
    delay_s: float = 0.0
    """Pause before an attempt; 0: none."""
    delay_percent: int = 100


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ProxyProfile in force, or the built-in defaults (`name` "")."""

    name: str = ""
    strategy: Strategy = Strategy.ROUND_ROBIN
    latency_window_s: float = 300.0
    """Over which the latency strategy averages."""
    affinity: Affinity = Affinity.NONE
    limits: Limits = Limits()
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.JSON
    log_file: LogFile | None = None
    """None: stdout only."""
    tracing: Tracing | None = None
    """None: nothing is traced."""
    max_attempts: int = 4
    """Attempts for one request over all providers."""
    retry_budget: RetryBudget = RetryBudget()
    cache: Cache | None = None
    """None: no answer is kept."""
    coalescing: bool = False
    """Identical requests in flight share one answer."""
    batching: Batching | None = None
    """None: embedding requests go out one by one."""
    consumers: tuple[Consumer, ...] = ()
    """Sorted by name. Empty: any caller may use the sidecar; else only those whose key is known."""
    drill: Drill | None = None
    """None: nothing fails on purpose."""
    condensation: Condensation = Condensation.NONE
    """What to do with requests that exceed a model's context window."""
    keep_messages: int = 10
    """With DropOldest: newest messages that stay."""


class ObjectVersion(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Which generation of an object went into a snapshot."""

    kind: str
    namespace: str
    name: str
    uid: str
    generation: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a sidecar of one profile needs to serve; swapped whole."""

    schema_version: int = SCHEMA_VERSION
    namespace: str
    profile: Profile = Profile()
    providers: tuple[Provider, ...] = ()
    """Sorted by id."""
    objects: tuple[ObjectVersion, ...] = ()
    """What it was compiled from, sorted; the digest covers it, so a new generation is a new snapshot."""
    digest: str = ""
    """Set by `codec.seal`: names the content, 16 hex digits."""


class Position(msgspec.Struct, frozen=True, order=True):
    """Order among pushes: a later epoch (leader) wins, then a later sequence of that leader."""

    epoch: int
    sequence: int


class SnapshotPush(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `PUT /v0/control/snapshot`."""

    position: Position
    snapshot: Snapshot
    secrets: dict[str, str]
    """Values by `Credential.secret` and `Consumer.secret`. Never logged."""

    def __repr__(self) -> str:
        """Name the push without its secrets."""
        digest, secrets = self.snapshot.digest, len(self.secrets)
        return f"SnapshotPush(position={self.position}, {digest=}, secrets=<{secrets}>)"


class Running(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a sidecar runs now; the answer to every push and the first line of every report stream."""

    digest: str = ""
    """Empty: no snapshot yet."""
    snapshot: Position = Position(0, 0)
    state: Position = Position(0, 0)
    parts: Position = Position(0, 0)
    error: str | None = None
    """Why the last push was not taken, if it was not."""
