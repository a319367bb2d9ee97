"""Condition types and reasons of all kinds, and setting one condition in a list.

The words are what users put into `kubectl wait --for=condition=...` and alert on: renaming one is a breaking
change. Which condition holds when is decided by the operator's `status`.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from cliproxy_api.resources.common import Condition
from cliproxy_api.vocabulary import ConditionStatus

MAX_MESSAGE_CHARS: Final = 1024
"""Enough for a few names and a sentence; the schema takes twice as much."""


class ConditionType(StrEnum):
    """Aspects of an object's state, in the order in which they are listed."""

    ACCEPTED = "Accepted"
    """The object is valid and what it names exists."""
    SYNCED = "Synced"
    """Every sidecar that it concerns runs its current generation."""
    HEALTHY = "Healthy"
    """Probes pass."""
    AVAILABLE = "Available"
    """Callers' requests can go there now: false while everything of it cools."""
    INJECTED = "Injected"
    """Of a profile, while pods ask for sidecars: each has the one that a new pod would get."""
    READY = "Ready"
    """Accepted, and in force in every ready sidecar: configuration only, so a cooldown leaves it alone."""
    DELIVERING = "Delivering"
    """Every channel of an alert took its last notification."""
    EXPORTED = "Exported"
    """Of an alert that asks for it: what it is rendered to besides is in place."""
    RECONCILING = "Reconciling"
    """Present only while true: some sidecar has yet to take the current generation (kstatus)."""
    STALLED = "Stalled"
    """Present only while true: nothing will change until a person changes something (kstatus)."""


class Reason(StrEnum):
    """Why a condition is as it is; also the words of the REASON column and of Events."""

    ACCEPTED = "Accepted"
    INVALID = "Invalid"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 -- a reason, not a secret
    SECRET_KEY_NOT_FOUND = "SecretKeyNotFound"  # noqa: S105 -- a reason, not a secret
    POLICY_NOT_FOUND = "PolicyNotFound"
    POLICY_INVALID = "PolicyInvalid"
    DUPLICATE_DEFAULT = "DuplicateDefault"
    ADDRESS_REFUSED = "AddressRefused"
    HEADER_REFUSED = "HeaderRefused"
    UNPRICED = "Unpriced"
    NO_EFFECT = "NoEffect"
    DISABLED = "Disabled"
    SYNCED = "Synced"
    PENDING = "Pending"
    NO_SIDECARS = "NoSidecars"
    NOT_READY = "NotReady"
    NOT_CONNECTED = "NotConnected"
    SNAPSHOT_REFUSED = "SnapshotRefused"
    SNAPSHOT_TOO_LARGE = "SnapshotTooLarge"
    PROFILE_NOT_FOUND = "ProfileNotFound"
    PROBE_PASSED = "ProbePassed"
    PROBE_FAILED = "ProbeFailed"
    NOT_PROBED = "NotProbed"
    AVAILABLE = "Available"
    COOLING_DOWN = "CoolingDown"
    PARTLY_COOLING = "PartlyCooling"
    RECOVERING = "Recovering"
    ERROR_RATE = "ErrorRate"
    MANUAL = "Manual"
    INJECTED = "Injected"
    NOT_INJECTED = "NotInjected"
    OUTDATED_SIDECAR = "OutdatedSidecar"
    READY = "Ready"
    DELIVERED = "Delivered"
    NOTIFICATION_FAILED = "NotificationFailed"
    NOTHING_TOLD = "NothingTold"
    EXPORTED = "Exported"
    EXPORT_FAILED = "ExportFailed"
    NOT_EXPRESSIBLE = "NotExpressible"
    PROMETHEUS_RULE_NOT_SERVED = "PrometheusRuleNotServed"
    UNKNOWN = "Unknown"


_ORDER: Final = {kind.value: number for number, kind in enumerate(ConditionType)}


def set_condition(
    conditions: Iterable[Condition],
    kind: ConditionType,
    status: ConditionStatus,
    *,
    reason: str,
    message: str,
    generation: int,
    now: str,
) -> tuple[Condition, ...]:
    """Return the list with this condition in it, in canonical order.

    `now` (RFC 3339, whole seconds) becomes `lastTransitionTime` only if the status differs from before. An
    empty message becomes the reason: servers of 1.20 turn empty strings of an apply into null and refuse it.
    """
    kept = tuple(conditions)
    before = find_condition(kept, kind)
    since = before.last_transition_time if before is not None and before.status is status else now
    condition = Condition(
        type=kind,
        status=status,
        reason=reason,
        message=clip(message or reason, MAX_MESSAGE_CHARS),
        last_transition_time=since,
        observed_generation=generation,
    )
    return _ordered((*(entry for entry in kept if entry.type != kind), condition))


def without_condition(conditions: Iterable[Condition], kind: ConditionType) -> tuple[Condition, ...]:
    """Return the list without this condition, in canonical order."""
    return _ordered(entry for entry in conditions if entry.type != kind)


def find_condition(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """Return the condition of this type, if there is one."""
    return next((entry for entry in conditions if entry.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Whether the condition is there and holds."""
    condition = find_condition(conditions, kind)
    return condition is not None and condition.status is ConditionStatus.TRUE


def clip(text: str, at_most: int) -> str:
    """Return the text as one line of at most so many characters, an ellipsis at the cut."""
    line = " ".join(text.split())
    return line if len(line) <= at_most else line[: at_most - 1] + "…"


def _ordered(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    # Types that are not ours (another writer's) come last, by name.
    return tuple(sorted(conditions, key=lambda entry: (_ORDER.get(entry.type, len(_ORDER)), entry.type)))
