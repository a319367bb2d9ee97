"""Providers, failures and state documents for tests of the machines; time is a number, chance is scripted."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import (
    CooldownRules,
    Credential,
    Model,
    Position,
    Provider,
)
from cliproxy_api.state import Evidence, FleetCooldown, FleetState, StatePush
from cliproxy_api.vocabulary import CooldownPhase, CooldownScope, OutcomeClass, ProviderType
from cliproxy_sidecar.core.cooldown import Cooldowns
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.permit import ActiveCooldown, Blocked, Permit
from cliproxy_sidecar.core.target import Target

SENT = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""When every document of a test is sent; its deadlines are told relative to this."""
ME = "sidecar-1"

KEY = Scope(provider="ns/p", credential="k", model="up")
"""The scope that a rate limit of `target()` hits."""
MODEL = Scope(provider="ns/p", model="up")
CREDENTIAL = Scope(provider="ns/p", credential="k")
WHOLE = Scope(provider="ns/p")


class Scripted:
    """A chance that gives the same number again and again, until told another."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value
        self.draws = 0

    def random(self) -> float:
        self.draws += 1
        return self.value


PLAIN = CooldownRules(jitter=0.0)
"""The defaults without jitter: five errors a minute; ramp steps and first back-off of 30 s."""


def rules(base: CooldownRules = PLAIN, **changes: object) -> CooldownRules:
    """Return rules with these changes; `recovery` takes a mapping of its own changes."""
    recovery = changes.pop("recovery", {})
    assert isinstance(recovery, dict)
    return msgspec.structs.replace(
        base, recovery=msgspec.structs.replace(base.recovery, **recovery), **changes
    )


ALONE = rules(scope=CooldownScope.SIDECAR)
"""The same, each sidecar for itself."""


def provider(
    name: str = "p",
    *,
    cooldown: CooldownRules = PLAIN,
    credentials: Iterable[tuple[str, int]] = (("k", 1),),
    models: Iterable[tuple[str, str]] = (("m", "up"),),
    digest: str = "d1",
    **changes: object,
) -> Provider:
    """Return a provider "ns/NAME" with one key and one model, unless told otherwise."""
    plain = Provider(
        id=f"ns/{name}",
        name=name,
        type=ProviderType.OPENAI,
        base_url="http://127.0.0.1:1/v1",
        credentials=tuple(
            Credential(name=key, secret=f"ns/{name}/{key}", secret_digest=digest, weight=weight)
            for key, weight in credentials
        ),
        models=tuple(Model(name=public, upstream_name=upstream) for public, upstream in models),
        cooldown=cooldown,
    )
    return msgspec.structs.replace(plain, **changes)


def target(of: Provider | None = None, *, key: int = 0, model: int = 0) -> Target:
    """Return one of a provider's targets."""
    of = of or provider()
    return Target(of, of.credentials[key], of.models[model])


def machine(
    *providers: Provider, now: float = 0.0, attached: bool = False, chance: Scripted | None = None
) -> Cooldowns:
    """Return configured cooldowns, cut off from the operator unless told otherwise."""
    cooldowns = Cooldowns(sidecar=ME, chance=chance or Scripted())
    cooldowns.configure(providers or (provider(),), now)
    cooldowns.attach(attached, now)
    return cooldowns


def failed(
    cls: OutcomeClass = OutcomeClass.RATE_LIMITED, *, hint_s: float | None = None, status: int | None = 429
) -> Outcome:
    """Return an outcome of this class."""
    return Outcome(cls, hint_s=hint_s, status=status, reason=f"it was {cls}")


def admitted(cooldowns: Cooldowns, now: float, of: Target | None = None) -> Permit:
    """Return a permit, or fail the test."""
    permit = cooldowns.admit(of or target(), now)
    assert isinstance(permit, Permit), permit
    return permit


def refused(cooldowns: Cooldowns, now: float, of: Target | None = None) -> Blocked:
    """Return the refusal, or fail the test."""
    blocked = cooldowns.admit(of or target(), now)
    assert isinstance(blocked, Blocked), blocked
    return blocked


def phases(cooldowns: Cooldowns, now: float) -> dict[Scope, CooldownPhase]:
    """Return every scope that is not closed and its phase."""
    return {cooldown.scope: cooldown.phase for cooldown in cooldowns.active(now)}


def only(cooldowns: Cooldowns, now: float) -> ActiveCooldown:
    """Return the only scope that is not closed."""
    (cooldown,) = cooldowns.active(now)
    return cooldown


def entry(
    scope: Scope = KEY,
    phase: CooldownPhase = CooldownPhase.COOLING,
    *,
    until_s: float = 60.0,
    since_s: float = 0.0,
    level: int = 0,
    cooled_s: float = 0.0,
    share_percent: int = 0,
    trial: str | None = None,
    outcome_class: OutcomeClass | None = OutcomeClass.RATE_LIMITED,
) -> FleetCooldown:
    """Return a document's entry; seconds count from `SENT`."""
    return FleetCooldown(
        scope=scope,
        phase=phase,
        outcome_class=outcome_class,
        reason="the fleet says so",
        since_utc=SENT + timedelta(seconds=since_s),
        until_utc=SENT + timedelta(seconds=until_s),
        level=level,
        cooled_s=cooled_s,
        share_percent=share_percent,
        trial_sidecar=trial,
        evidence=Evidence(sidecar="another"),
    )


def push(*entries: FleetCooldown, sent_s: float = 0.0, epoch: int = 1) -> StatePush:
    """Return a leader's document with these entries; the order of its documents is the caller's matter."""
    return StatePush(
        position=Position(epoch, 1),
        sent_at_utc=SENT + timedelta(seconds=sent_s),
        state=FleetState(cooldowns=entries),
    )
