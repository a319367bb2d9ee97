"""One valid ProxyProfile's callers to what sidecars run: keys by reference, money in nano-dollars.

A caller whose key is missing stays, without a key, so that a profile that names callers never lets everybody
in. Whether the profile is valid `validate` says; which prices are missing is asked here, since it concerns
budgets.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from cliproxy_api.conditions import Reason
from cliproxy_api.money import parse_nano_usd
from cliproxy_api.resources import proxyprofile_parts as parts
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.snapshot import Budget, Consumer, Provider, RateLimit
from cliproxy_operator.inputs import SecretView
from cliproxy_operator.validate import Diagnostic, warning

Secrets = Mapping[tuple[str, str], SecretView | None]
MAX_NAMED: Final = 3


def consumer_secrets(profile: ProxyProfile) -> frozenset[tuple[str, str]]:
    """Return (namespace, name) of the Secrets that hold the callers' keys."""
    namespace = profile.metadata.namespace
    return frozenset((namespace, consumer.key_secret_ref.name) for consumer in profile.spec.consumers)


def build_consumers(
    profile: ProxyProfile, secrets: Secrets
) -> tuple[tuple[Consumer, ...], tuple[Diagnostic, ...]]:
    """Return the callers, sorted by name, and whose key is missing."""
    namespace = profile.metadata.namespace
    consumers: list[Consumer] = []
    missing: list[Diagnostic] = []
    for number, spec in enumerate(profile.spec.consumers):
        ref = spec.key_secret_ref
        view = secrets.get((namespace, ref.name))
        path = f"spec.consumers[{number}].keySecretRef"
        digest = ""
        if view is None:
            missing.append(
                warning(
                    Reason.SECRET_NOT_FOUND,
                    path,
                    f"Secret {ref.name!r} is not in namespace {namespace!r}, so nobody can call as "
                    f"{spec.name!r}; create it with key {ref.key!r}",
                )
            )
        elif ref.key not in view.digests:
            missing.append(
                warning(
                    Reason.SECRET_KEY_NOT_FOUND,
                    path,
                    f"Secret {ref.name!r} in namespace {namespace!r} has no value under key {ref.key!r}, so "
                    f"nobody can call as {spec.name!r}; add it",
                )
            )
        else:
            digest = view.digests[ref.key]
        consumers.append(
            Consumer(
                name=spec.name,
                tier=spec.tier,
                secret=f"{namespace}/{ref.name}/{ref.key}" if digest else "",
                secret_digest=digest,
                rate_limit=_rate_limit(spec.rate_limit),
                budget=_budget(spec.budget),
                admin=spec.admin,
            )
        )
    return tuple(sorted(consumers, key=lambda consumer: consumer.name)), tuple(missing)


def unpriced(consumers: Iterable[Consumer], providers: Iterable[Provider]) -> tuple[Diagnostic, ...]:
    """Return a warning if budgets are kept over models whose price nobody has told."""
    if not any(consumer.budget is not None for consumer in consumers):
        return ()
    models = [
        f"{model.name} at {provider.name}"
        for provider in providers
        for model in provider.models
        if model.pricing is None
    ]
    if not models:
        return ()
    more = f" and {len(models) - MAX_NAMED} more" if len(models) > MAX_NAMED else ""
    text = (
        f"budgets count {', '.join(models[:MAX_NAMED])}{more} as free, for want of a price; set pricing or "
        "costPer1kTokens of their LLMProvider"
    )
    return (warning(Reason.UNPRICED, "spec.consumers", text),)


def _rate_limit(spec: parts.ConsumerRateLimit | None) -> RateLimit | None:
    if spec is None:
        return None
    return RateLimit(
        requests_per_minute=spec.requests_per_minute,
        tokens_per_minute=spec.tokens_per_minute,
        max_concurrent=spec.max_concurrent,
    )


def _budget(spec: parts.Budget | None) -> Budget | None:
    if spec is None:
        return None
    return Budget(
        daily=_nano(spec.daily),
        weekly=_nano(spec.weekly),
        monthly=_nano(spec.monthly),
        on_exceeded=spec.on_exceeded,
    )


def _nano(amount: str | None) -> int | None:
    return None if amount is None else parse_nano_usd(amount)
