"""The steps of one request's life, as values (see `exchange`, which walks over them).

The last three send something downstream; there is no step after them.
"""

from dataclasses import dataclass

import msgspec

from cliproxy_sidecar.core.permit import Permit
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.proxy.attempt import Answer, Attempt
from cliproxy_sidecar.proxy.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Choose:
    """Look for a target."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again when something has changed, at the latest at this monotonic second."""

    until: float


class Try(msgspec.Struct, frozen=True):
    """Send the request to a target, after a pause."""

    target: Target
    permit: Permit | None
    """None: taken after the pause, whatever cools."""
    after_s: float = 0.0


class Commit(msgspec.Struct, frozen=True):
    """Relay this answer."""

    attempt: Attempt
    answer: Answer


@dataclass(frozen=True, slots=True)
class PassOn:
    """Give the caller the provider's word on the caller's own fault."""

    target: Target
    answer: Answer


@dataclass(frozen=True, slots=True)
class Refuse:
    """Say no ourselves."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Condense:
    """Make the request fit (`condensation` of the profile), since this target finds it too long."""

    target: Target
    otherwise: "Step"
    """What comes next if it cannot be made to."""


Step = Choose | Wait | Try | Commit | PassOn | Refuse | Condense
"""A request's next step."""
