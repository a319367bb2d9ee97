"""One valid ProxyProfile to what its sidecars run: durations in seconds, secrets by reference.

Whether it is valid `validate` says; which providers its sidecars use `compile`.
"""

from collections.abc import Mapping
from typing import Final

from cliproxy_api.conditions import Reason
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.resources import proxyprofile_parts as parts
from cliproxy_api.resources.common import SecretRef
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.reuse import Batching, Cache, Redis
from cliproxy_api.snapshot import Drill, Limits, Profile, RetryBudget
from cliproxy_api.telling import LogFile, Tracing
from cliproxy_operator.compile_consumers import build_consumers, consumer_secrets
from cliproxy_operator.inputs import SecretView
from cliproxy_operator.instants import read_instant
from cliproxy_operator.validate import Diagnostic, warning

TRACES_PATH: Final = "/v1/traces"
"""Source: OTLP specification, OTLP/HTTP request (read 2026-11)."""

Secrets = Mapping[tuple[str, str], SecretView | None]


def profile_secrets(profile: ProxyProfile) -> frozenset[tuple[str, str]]:
    """Return (namespace, name) of every Secret that the profile's sidecars need."""
    ref = _password_ref(profile)
    password = {(profile.metadata.namespace, ref.name)} if ref is not None else frozenset()
    return consumer_secrets(profile).union(password)


def build_profile(profile: ProxyProfile, secrets: Secrets) -> tuple[Profile, tuple[Diagnostic, ...]]:
    """Return a valid profile as its sidecars run it, and what it has to do without."""
    spec = profile.spec
    cache, missing = _cache(profile, secrets)
    consumers, keyless = build_consumers(profile, secrets)
    built = Profile(
        name=profile.metadata.name,
        strategy=spec.load_balancing.strategy,
        latency_window_s=parse_duration_s(spec.load_balancing.latency_window),
        affinity=spec.load_balancing.affinity,
        limits=Limits(
            max_body_bytes=spec.limits.max_body_bytes,
            max_concurrent_requests=spec.limits.max_concurrent_requests,
            max_header_bytes=spec.limits.max_header_bytes,
        ),
        log_level=spec.logging.level,
        log_format=spec.logging.format,
        log_file=_log_file(spec.logging.file),
        tracing=_tracing(spec.tracing),
        max_attempts=spec.retry_budget.max_attempts,
        retry_budget=RetryBudget(
            timeout_s=parse_duration_s(spec.retry_budget.timeout),
            percent=spec.retry_budget.percent,
            min_per_second=spec.retry_budget.min_per_second,
        ),
        cache=cache,
        coalescing=spec.coalescing.enabled,
        batching=_batching(spec.batching),
        consumers=consumers,
        drill=_drill(spec.fault_injection),
        condensation=spec.condensation.mode,
        keep_messages=spec.condensation.keep_messages,
    )
    return built, (*missing, *keyless)


def _cache(profile: ProxyProfile, secrets: Secrets) -> tuple[Cache | None, tuple[Diagnostic, ...]]:
    spec = profile.spec.cache
    if not spec.enabled:
        return None, ()
    redis, missing = _redis(profile, secrets)
    ttl_s = parse_duration_s(spec.ttl)
    return Cache(size=spec.size, max_bytes=spec.max_bytes, ttl_s=ttl_s, redis=redis), missing


def _redis(profile: ProxyProfile, secrets: Secrets) -> tuple[Redis | None, tuple[Diagnostic, ...]]:
    """Return the second level; without its password there is none, as every command would be refused."""
    spec = profile.spec.cache.redis
    if spec is None:
        return None, ()
    ref = spec.password_secret_ref
    if ref is None:
        return Redis(url=spec.url), ()
    namespace = profile.metadata.namespace
    view = secrets.get((namespace, ref.name))
    path, without = "spec.cache.redis.passwordSecretRef", "; until then sidecars keep answers for themselves"
    if view is None:
        text = (
            f"Secret {ref.name!r} is not in namespace {namespace!r}; create it with key {ref.key!r}{without}"
        )
        return None, (warning(Reason.SECRET_NOT_FOUND, path, text),)
    if ref.key not in view.digests:
        text = f"Secret {ref.name!r} in namespace {namespace!r} has no value under key {ref.key!r}; add it"
        return None, (warning(Reason.SECRET_KEY_NOT_FOUND, path, text + without),)
    reference = f"{namespace}/{ref.name}/{ref.key}"
    return Redis(url=spec.url, password=reference, password_digest=view.digests[ref.key]), ()


def _password_ref(profile: ProxyProfile) -> SecretRef | None:
    cache = profile.spec.cache
    return cache.redis.password_secret_ref if cache.enabled and cache.redis is not None else None


def _log_file(spec: parts.LogFile) -> LogFile | None:
    if not spec.enabled:
        return None
    age_s = parse_duration_s(spec.max_age)
    return LogFile(max_bytes=spec.max_bytes, max_age_s=age_s, backups=spec.max_backups)


def _tracing(spec: parts.Tracing | None) -> Tracing | None:
    """Return where traces go: OTLP's own path is added, unless the address ends in it already."""
    if spec is None:
        return None
    base = spec.endpoint.rstrip("/")
    return Tracing(
        url=base if base.endswith(TRACES_PATH) else base + TRACES_PATH, sample_rate=spec.sample_rate
    )


def _batching(spec: parts.Batching) -> Batching | None:
    if not spec.enabled or spec.max_batch_size == 1:
        return None
    return Batching(max_inputs=spec.max_batch_size, timeout_s=parse_duration_s(spec.timeout))


def _drill(spec: parts.FaultInjection | None) -> Drill | None:
    """Return the faults to make; None without any. When they end is for the sidecar's clock to see."""
    until = read_instant(spec.until) if spec is not None else None
    if spec is None or until is None or (spec.abort is None and spec.delay is None):
        return None
    return Drill(
        until_unix_s=until.timestamp(),
        provider=spec.provider or "",
        status=spec.abort.status if spec.abort is not None else 0,
        status_percent=spec.abort.percent if spec.abort is not None else 100,
        delay_s=parse_duration_s(spec.delay.duration) if spec.delay is not None else 0.0,
        delay_percent=spec.delay.percent if spec.delay is not None else 100,
    )
