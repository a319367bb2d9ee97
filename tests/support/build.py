"""Snapshots for a running sidecar: scripted providers in, a sealed snapshot and its secrets out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from cliproxy_api import codec
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import (
    Azure,
    CooldownRules,
    Credential,
    HealthCheck,
    Model,
    Position,
    Profile,
    Provider,
    Recovery,
    Retries,
    Snapshot,
    SnapshotPush,
)
from cliproxy_api.state import Evidence, FleetCooldown, FleetState, StatePush
from cliproxy_api.vocabulary import CooldownPhase, LastResort, OutcomeClass, ProviderType
from cliproxy_dev.providers.provider import ScriptedProvider

NAMESPACE = "team-a"
TYPES = {
    "openai": ProviderType.OPENAI,
    "anthropic": ProviderType.ANTHROPIC,
    "azure": ProviderType.AZURE_OPENAI,
    "gemini": ProviderType.GEMINI,
    "gemini_native": ProviderType.GEMINI,
    "groq": ProviderType.OPENAI_COMPATIBLE,
}
CALM = CooldownRules(jitter=0.0, last_resort=LastResort.REJECT)
"""No chance in the durations, and a refusal rather than the least bad target."""
NO_PROBES = HealthCheck(enabled=False)


@dataclass(frozen=True)
class Built:
    """A provider and the values of its credentials."""

    provider: Provider
    secrets: dict[str, str] = field(repr=False)


def built(
    scripted: ScriptedProvider | None = None,
    *,
    name: str | None = None,
    type_: ProviderType | None = None,
    base_url: str | None = None,
    keys: Mapping[str, str] | None = None,
    models: Mapping[str, str] | Iterable[str] = ("gpt-4o",),
    **changes: object,
) -> Built:
    """Return a provider that leads to a scripted one: keys by name, public model names to upstream ones."""
    name = name or (scripted.name if scripted else "provider")
    keys = keys or {"main": "sk-test"}
    named = models if isinstance(models, Mapping) else {model: model for model in models}
    secrets = {f"{NAMESPACE}/{name}/{key}": value for key, value in keys.items()}
    provider = Provider(
        id=f"{NAMESPACE}/{name}",
        name=name,
        type=type_ or TYPES[scripted.kind if scripted else "openai"],
        base_url=base_url or (scripted.base_url if scripted else "http://127.0.0.1:9/v1"),
        credentials=tuple(
            Credential(name=key, secret=f"{NAMESPACE}/{name}/{key}", secret_digest=str(len(value)))
            for key, value in keys.items()
        ),
        models=tuple(Model(name=public, upstream_name=upstream) for public, upstream in named.items()),
        health_check=NO_PROBES,
        retries=Retries(attempts=1, backoff_s=0.01),
        cooldown=CALM,
    )
    return Built(msgspec.structs.replace(provider, **changes), secrets)


def bare_provider(
    type_: ProviderType, base_url: str = "", azure: Azure | None = None, probe: str | None = None
) -> Provider:
    """Return a provider without models, for what depends on its address alone."""
    return Provider(
        id="ns/p",
        name="p",
        type=type_,
        base_url=base_url,
        credentials=(Credential(name="a", secret="ns/s/k", secret_digest="d"),),
        models=(),
        azure=azure,
        health_check=HealthCheck(path=probe),
    )


def rules(**changes: object) -> CooldownRules:
    """Return calm rules with these changes; `recovery` takes a mapping of its own changes."""
    recovery = changes.pop("recovery", {})
    assert isinstance(recovery, Mapping)
    return msgspec.structs.replace(CALM, recovery=msgspec.structs.replace(Recovery(), **recovery), **changes)


def snapshot(*parts: Built, profile: Profile | None = None) -> Snapshot:
    """Return a sealed snapshot of these providers."""
    providers = sorted((part.provider for part in parts), key=lambda provider: provider.id)
    return codec.seal(Snapshot(namespace=NAMESPACE, profile=profile or Profile(), providers=tuple(providers)))


def push(*parts: Built, profile: Profile | None = None, position: Position | None = None) -> SnapshotPush:
    """Return what the operator would push."""
    secrets = {name: value for part in parts for name, value in part.secrets.items()}
    return SnapshotPush(
        position=position or Position(1, 1), snapshot=snapshot(*parts, profile=profile), secrets=secrets
    )


def cooling(
    scope: Scope,
    *,
    lasts_s: float = 60.0,
    phase: CooldownPhase = CooldownPhase.COOLING,
    outcome_class: OutcomeClass | None = OutcomeClass.RATE_LIMITED,
    level: int = 0,
    share_percent: int = 0,
    trial_sidecar: str | None = None,
    sidecar: str | None = None,
) -> FleetCooldown:
    """Return a document's entry that ends `lasts_s` from now; `sidecar` is who found it."""
    now_utc = datetime.now(tz=UTC)  # noqa: TID251 -- documents carry real instants
    return FleetCooldown(
        scope=scope,
        phase=phase,
        outcome_class=outcome_class,
        reason="the fleet says so",
        since_utc=now_utc,
        until_utc=now_utc + timedelta(seconds=lasts_s),
        level=level,
        share_percent=share_percent,
        trial_sidecar=trial_sidecar,
        evidence=Evidence(sidecar=sidecar),
    )


def state_push(
    *cooldowns: FleetCooldown,
    position: Position | None = None,
    unhealthy: tuple[str, ...] = (),
    probes: Mapping[str, str] | None = None,
) -> StatePush:
    """Return a document with these entries, sent now."""
    return StatePush(
        position=position or Position(1, 1),
        sent_at_utc=datetime.now(tz=UTC),  # noqa: TID251 -- documents carry real instants
        state=FleetState(cooldowns=cooldowns, unhealthy=unhealthy, probes=dict(probes or {})),
    )
