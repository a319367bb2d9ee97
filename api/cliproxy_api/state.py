"""The small second document that sidecars get: cooldowns, health and duties, shared by the fleet.

It is the same for every sidecar of a namespace, so it is encoded once however many there are. Instants are
the operator's clock; a sidecar reads them relative to `StatePush.sent_at_utc`, so clock skew does not matter.
What one sidecar is given of shared limits is in a third, smaller one, sent to that sidecar only.
"""

from datetime import datetime
from typing import Final

import msgspec

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import SCHEMA_VERSION, Position
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass

WHOLE: Final = 1_000_000
"""All of a shared limit; parts of it are whole numbers."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What made us think so; never a key, never a prompt."""

    status: int | None = None
    code: str | None = None
    """The provider's error code or type, at most 128 characters."""
    header: str | None = None
    """The header or body field that gave the hint, as "name: value", at most 128 characters."""
    sidecar: str | None = None


class FleetCooldown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One scope that sits out, or is on its way back."""

    scope: Scope
    phase: CooldownPhase
    outcome_class: OutcomeClass | None = None
    """None: asked for by a person."""
    reason: str = ""
    """One line for people."""
    since_utc: datetime
    until_utc: datetime
    """Cooling: when it ends. Half-open: when the permit moves on. Ramp: when the next step begins."""
    level: int = 0
    """How often it has tripped again without having closed."""
    cooled_s: float = 0.0
    """How long it cooled, or will have: no step of its ramp is longer. 0: not known."""
    share_percent: int = 0
    """Ramp: how much of its normal share passes."""
    trial_sidecar: str | None = None
    """Half-open: the one sidecar that may send a trial call."""
    evidence: Evidence = Evidence()


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """How much the whole fleet has used in a period."""

    used: int
    """In the limit's unit; nano-dollars for money."""
    until_utc: datetime
    """When the period ends: a figure for another period than the sidecar's is passed over."""


class Spent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the whole fleet has spent for one consumer; None: the budget names no such period."""

    day: Amount | None = None
    week: Amount | None = None
    month: Amount | None = None


class FleetState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the fleet has decided."""

    schema_version: int = SCHEMA_VERSION
    cooldowns: tuple[FleetCooldown, ...] = ()
    """Sorted by scope. A scope that was here and is gone is closed."""
    unhealthy: tuple[str, ...] = ()
    """Ids of providers whose probes fail, sorted."""
    probes: dict[str, str] = {}
    """Which sidecar probes which provider: provider id -> sidecar."""
    sharers: dict[str, int] = {}
    """Among how many sidecars a provider's rate limit is divided, by id; absent: one."""
    consumer_sharers: dict[str, int] = {}
    """The same for consumers, by "profile/consumer"."""
    floors: dict[str, int] = {}
    """What a sidecar without a part of its own may take of a provider's rate limit, in millionths, by id.

    Absent: one part of `sharers`. Sidecars older than `Hello.keeps_parts` go by that in any case.
    """
    consumer_floors: dict[str, int] = {}
    """The same for consumers, by "profile/consumer"."""
    quotas: dict[str, Amount] = {}
    """What is used of providers' quotas, by id."""
    budgets: dict[str, Spent] = {}
    """What consumers have spent, by "profile/consumer"; absent: nothing."""
    recovered: dict[str, datetime] = {}
    """When a person ended all of a provider's cooldowns last, by id: what was found before is over."""


class StatePush(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `PUT /v0/control/state`."""

    position: Position
    sent_at_utc: datetime
    state: FleetState


class PartsPush(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `PUT /v0/control/parts`: what this sidecar may take of limits that the fleet shares.

    In millionths of the whole limit. Where it is given no part, `FleetState`'s floor is kept to.
    """

    position: Position
    providers: dict[str, int] = {}
    """By id."""
    consumers: dict[str, int] = {}
    """By name: those of the sidecar's own profile."""
