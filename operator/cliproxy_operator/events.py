"""Which Kubernetes Events a change of status is worth: transitions only, never a repetition.

`apply` posts them; the regarding object is the one whose status changed.
"""

from dataclasses import dataclass
from typing import Literal

from cliproxy_api.resources.llmprovider_status import LLMProviderStatus


@dataclass(frozen=True, slots=True)
class Event:
    """One event to post."""

    type: Literal["Normal", "Warning"]
    reason: str
    """One CamelCase word: CoolingDown, HalfOpen, Recovered, Misconfigured, Accepted, Unhealthy, Healthy,
    SnapshotRefused."""
    message: str


def provider_events(previous: LLMProviderStatus | None, new: LLMProviderStatus) -> tuple[Event, ...]:
    """Return what happened between two statuses of a provider; nothing for the first one if all is well."""
    raise NotImplementedError
