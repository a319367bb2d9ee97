"""The closed sets of words that resources, snapshot, state and reports share.

The values are what users read and write in YAML, so renaming one is a breaking change.
"""

from enum import StrEnum
from typing import Final

API_GROUP: Final = "cliproxy.io"
API_VERSION: Final = "v1alpha1"

SIDECAR_LABEL: Final = "cliproxy.io/sidecar"
"""Pods that carry it with the value "true" hold a sidecar."""
PROFILE_ANNOTATION: Final = "cliproxy.io/profile"
"""On a sidecar pod: the ProxyProfile it follows; absent: the built-in defaults."""
INJECT_LABEL: Final = "cliproxy.io/inject"
"""On a pod or a namespace: "true" asks for a sidecar; a pod's "false", label or annotation, declines."""
INJECTED_ANNOTATION: Final = "cliproxy.io/injected"
"""On a pod, by the operator: the digest of the template that its sidecar was made from."""
NOT_INJECTED_ANNOTATION: Final = "cliproxy.io/not-injected"
"""On a pod, by the operator: why it got no sidecar although it asked for one."""
COOLDOWN_ANNOTATION: Final = "cliproxy.io/cooldown"
"""On an LLMProvider: a duration; the operator cools the provider that long and removes the annotation."""
RECOVER_ANNOTATION: Final = "cliproxy.io/recover"
"""On an LLMProvider: any value; the operator ends all its cooldowns and removes the annotation."""
RESTORE_ANNOTATION: Final = "cliproxy.io/restore"
"""On an object that came out of a backup: its state (`restored`); taken over once, noise from then on."""

PROXY_PORT: Final = 8317
CONTROL_PORT: Final = 8318
OBSERVE_PORT: Final = 9090


class ProviderType(StrEnum):
    """Which dialect a provider speaks."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    AZURE_OPENAI = "azure_openai"
    GEMINI = "gemini"
    OPENAI_COMPATIBLE = "openai_compatible"


class OutcomeClass(StrEnum):
    """What one finished attempt was (design section 6)."""

    SUCCESS = "Success"
    RATE_LIMITED = "RateLimited"
    RAMP = "Ramp"
    QUOTA_LONG = "QuotaLong"
    QUOTA_MONEY = "QuotaMoney"
    OVERLOADED = "Overloaded"
    SERVER_ERROR = "ServerError"
    AUTH = "Auth"
    CONFIG = "Config"
    CONTEXT = "Context"
    TOO_BIG = "TooBig"
    FILTER = "Filter"
    CLIENT = "Client"
    STREAM_ERROR = "StreamError"
    CANCELLED = "Cancelled"


COUNTED_CLASSES: Final = frozenset(
    {
        OutcomeClass.RATE_LIMITED,
        OutcomeClass.RAMP,
        OutcomeClass.QUOTA_LONG,
        OutcomeClass.QUOTA_MONEY,
        OutcomeClass.OVERLOADED,
        OutcomeClass.SERVER_ERROR,
        OutcomeClass.AUTH,
        OutcomeClass.CONFIG,
        OutcomeClass.STREAM_ERROR,
    }
)
"""Classes that count against a provider; the rest: success, the caller's own fault, a cancelled call."""

MANUAL_REASON: Final = "manual"
"""The reason of a cooldown that a person asked for."""


class ScopeKind(StrEnum):
    """What a cooldown takes out of use."""

    PROVIDER = "Provider"
    CREDENTIAL = "Credential"
    MODEL = "Model"
    CREDENTIAL_MODEL = "CredentialModel"


class CooldownPhase(StrEnum):
    """Where a cooldown is on its way back; a scope without a cooldown is closed (passes)."""

    COOLING = "Cooling"
    HALF_OPEN = "HalfOpen"
    RAMP = "Ramp"


class CooldownScope(StrEnum):
    """Who shares a cooldown."""

    FLEET = "Fleet"
    SIDECAR = "Sidecar"


class LastResort(StrEnum):
    """What to do with a request when every candidate is cooling."""

    USE_LEAST_BAD = "UseLeastBad"
    WAIT = "Wait"
    REJECT = "Reject"


class RecoveryProbe(StrEnum):
    """What proves that a provider is back."""

    REQUEST = "Request"
    HEALTH_CHECK = "HealthCheck"
    NONE = "None"


class Trip(StrEnum):
    """When a failure class starts a cooldown."""

    IMMEDIATE = "Immediate"
    THRESHOLD = "Threshold"
    NEVER = "Never"


class HealthCheckMode(StrEnum):
    """How a provider is probed."""

    HTTP = "http"
    TCP = "tcp"


class Strategy(StrEnum):
    """How a target is chosen among candidates of the same priority."""

    ROUND_ROBIN = "round_robin"
    QUOTA_AWARE = "quota_aware"
    LATENCY = "latency"
    COST = "cost"


class LogLevel(StrEnum):
    """Least severe log line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line is written."""

    JSON = "json"
    TEXT = "text"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class SelectorOperator(StrEnum):
    """How a label selector's requirement judges a label."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class NamespacesFrom(StrEnum):
    """Whose sidecars may use a provider."""

    SAME = "Same"
    ALL = "All"
    SELECTOR = "Selector"


class ProviderPhase(StrEnum):
    """A provider's state in one word, for people."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    COOLING_DOWN = "CoolingDown"
    UNHEALTHY = "Unhealthy"
    DISABLED = "Disabled"
    MISCONFIGURED = "Misconfigured"
    UNKNOWN = "Unknown"


class PriceUnit(StrEnum):
    """How many tokens a price is for."""

    THOUSAND = "1k"
    MILLION = "1M"


class QuotaUnit(StrEnum):
    """What a quota counts."""

    TOKENS = "tokens"
    REQUESTS = "requests"
    USD = "usd"


class QuotaReset(StrEnum):
    """When a quota begins anew, in UTC."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class ProbeMethod(StrEnum):
    """HTTP method of an active probe."""

    GET = "GET"
    HEAD = "HEAD"


class Severity(StrEnum):
    """How bad it is when an alert fires."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertExport(StrEnum):
    """What an alert rule is rendered to besides."""

    NONE = "None"
    PROMETHEUS_RULE = "PrometheusRule"


class AlertState(StrEnum):
    """Where an alert stands for one provider."""

    INACTIVE = "Inactive"
    PENDING = "Pending"
    FIRING = "Firing"


class Delivery(StrEnum):
    """How a notification ended."""

    DELIVERED = "Delivered"
    FAILED = "Failed"


class Affinity(StrEnum):
    """What keeps related requests at one provider."""

    NONE = "None"
    SESSION = "Session"
    PREFIX = "Prefix"


class FailoverMode(StrEnum):
    """How a backup outside the declared providers is used."""

    NONE = "none"
    ACTIVE_PASSIVE = "active_passive"
    ACTIVE_ACTIVE = "active_active"


class OnExceeded(StrEnum):
    """What happens to a consumer who is over budget."""

    WARN = "Warn"
    DOWNGRADE = "Downgrade"
    BLOCK = "Block"


class Condensation(StrEnum):
    """What to do with a request that exceeds a model's context window."""

    NONE = "None"
    LARGER_MODEL = "LargerModel"
    DROP_OLDEST = "DropOldest"
