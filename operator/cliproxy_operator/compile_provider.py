"""One valid LLMProvider to what sidecars run: durations in seconds, credentials by reference.

Whether it is valid `validate` says, which policy is in force `compile_policy`.
"""

from collections.abc import Mapping
from typing import Final

from cliproxy_api.conditions import Reason
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.money import parse_nano_usd
from cliproxy_api.pricing import model_pricing
from cliproxy_api.resources import llmprovider_parts as parts
from cliproxy_api.resources import llmprovider_traffic as traffic
from cliproxy_api.resources.llmprovider import LLMProvider, LLMProviderSpec
from cliproxy_api.snapshot import (
    KEYLESS,
    Azure,
    ConnectionPool,
    CooldownRules,
    Credential,
    HealthCheck,
    Model,
    Provider,
    Quota,
    RateLimit,
    Retries,
    Timeouts,
)
from cliproxy_api.vocabulary import ProviderType, QuotaUnit
from cliproxy_operator.inputs import SecretView
from cliproxy_operator.validate import Diagnostic, error, warning

PUBLIC_ADDRESSES: Final[Mapping[ProviderType, str]] = {
    ProviderType.OPENAI: "https://api.openai.com/v1",
    ProviderType.ANTHROPIC: "https://api.anthropic.com",
    ProviderType.GEMINI: "https://generativelanguage.googleapis.com/v1beta",
}
"""Used when `baseURL` is left out. Sources: the providers' API references (read 2026-11); Gemini's is its own
API (docs/adr/0017)."""


def resolve_credentials(
    provider: LLMProvider, secrets: Mapping[tuple[str, str], SecretView | None]
) -> tuple[tuple[Credential, ...], tuple[Diagnostic, ...]]:
    """Return the credentials whose Secrets are there, sorted by name, and what is missing.

    A missing key is an error only if no other one is left: the provider runs with those that resolve.
    Credentials of weight 0 are taken out, as the field says.
    """
    if not provider.spec.credentials:
        return (KEYLESS,), ()
    namespace = provider.metadata.namespace
    found: list[Credential] = []
    missing: list[tuple[Reason, str, str]] = []
    for number, credential in enumerate(provider.spec.credentials):
        ref = credential.secret_ref
        view = secrets.get((namespace, ref.name))
        path = f"spec.credentials[{number}].secretRef"
        if view is None:
            reason = Reason.SECRET_NOT_FOUND
            text = f"Secret {ref.name!r} is not in namespace {namespace!r}; create it with key {ref.key!r}"
            missing.append((reason, path, text))
        elif ref.key not in view.digests:
            reason = Reason.SECRET_KEY_NOT_FOUND
            text = (
                f"Secret {ref.name!r} in namespace {namespace!r} has no value under key {ref.key!r}; add it"
            )
            missing.append((reason, path, text))
        elif credential.weight > 0:
            found.append(
                Credential(
                    name=credential.name,
                    secret=f"{namespace}/{ref.name}/{ref.key}",
                    secret_digest=view.digests[ref.key],
                    weight=credential.weight,
                )
            )
    fault = error if missing and not found else warning
    return (
        tuple(sorted(found, key=lambda credential: credential.name)),
        tuple(fault(reason, path, text) for reason, path, text in missing),
    )


def build_provider(
    provider: LLMProvider,
    *,
    credentials: tuple[Credential, ...],
    rules: CooldownRules,
    seen_from: str,
) -> Provider:
    """Return a valid provider as sidecars of the namespace `seen_from` run it."""
    spec, metadata = provider.spec, provider.metadata
    provider_id = f"{metadata.namespace}/{metadata.name}"
    return Provider(
        id=provider_id,
        name=metadata.name if metadata.namespace == seen_from else provider_id,
        type=spec.type,
        base_url=(spec.base_url or PUBLIC_ADDRESSES[spec.type]).rstrip("/"),
        credentials=credentials,
        models=_models(spec),
        priority=spec.priority,
        weight=spec.weight,
        headers=dict(spec.headers),
        azure=_azure(spec),
        timeouts=_timeouts(spec.timeouts),
        retries=Retries(attempts=spec.retries.attempts, backoff_s=parse_duration_s(spec.retries.backoff)),
        health_check=_health_check(spec.health_check),
        pool=_pool(spec.connection_pool),
        cooldown=rules,
        rate_limit=_rate_limit(spec.rate_limit),
        quota=_quota(spec.quota),
    )


def unpriced_quota(provider: LLMProvider) -> tuple[Diagnostic, ...]:
    """Return a warning if a quota in dollars is kept over models whose price nobody has told."""
    spec = provider.spec
    if spec.quota is None or spec.quota.unit is not QuotaUnit.USD or spec.cost_per_1k_tokens is not None:
        return ()
    names = [model.name for model in spec.models if model.pricing is None]
    if not names:
        return ()
    text = f"counts {', '.join(names[:3])} as free, for want of a price; set pricing or costPer1kTokens"
    return (warning(Reason.UNPRICED, "spec.quota", text),)


def _models(spec: LLMProviderSpec) -> tuple[Model, ...]:
    models = (
        Model(
            name=model.name,
            upstream_name=model.upstream_name or model.name,
            context_window_tokens=model.context_window,
            pricing=model_pricing(model.pricing, spec.cost_per_1k_tokens),
        )
        for model in spec.models
    )
    return tuple(sorted(models, key=lambda model: model.name))


def _rate_limit(spec: traffic.RateLimit | None) -> RateLimit | None:
    if spec is None:
        return None
    return RateLimit(
        requests_per_minute=spec.requests_per_minute,
        tokens_per_minute=spec.tokens_per_minute,
        max_concurrent=spec.max_concurrent,
    )


def _quota(spec: parts.Quota | None) -> Quota | None:
    if spec is None:
        return None
    text = str(spec.limit)
    limit = parse_nano_usd(text) if spec.unit is QuotaUnit.USD else int(text)
    return Quota(limit=limit, unit=spec.unit, reset=spec.reset)


def _azure(spec: LLMProviderSpec) -> Azure | None:
    if spec.azure is None:
        return None
    return Azure(api_version=spec.azure.api_version, deployment=spec.azure.deployment)


def _timeouts(spec: traffic.Timeouts) -> Timeouts:
    return Timeouts(
        connect_s=parse_duration_s(spec.connect),
        first_byte_s=parse_duration_s(spec.first_byte),
        idle_s=parse_duration_s(spec.idle),
        total_s=parse_duration_s(spec.total),
    )


def _health_check(spec: traffic.HealthCheck) -> HealthCheck:
    return HealthCheck(
        enabled=spec.enabled,
        interval_s=parse_duration_s(spec.interval),
        timeout_s=parse_duration_s(spec.timeout),
        unhealthy_threshold=spec.unhealthy_threshold,
        healthy_threshold=spec.healthy_threshold,
        path=spec.path,
        method=spec.method.value,
        expected_statuses=spec.expected_statuses,
        mode=spec.mode,
    )


def _pool(spec: traffic.ConnectionPool) -> ConnectionPool:
    return ConnectionPool(
        max_connections=spec.max_connections,
        max_idle_connections=spec.max_idle_connections_per_host,
        idle_timeout_s=parse_duration_s(spec.idle_timeout),
        http2=spec.http2,
    )
