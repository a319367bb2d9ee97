"""CooldownPolicy to the rules that sidecars and fleet follow, and which policy is in force for a provider."""

from collections.abc import Iterable
from dataclasses import dataclass

from cliproxy_api.conditions import Reason
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.resources.cooldownpolicy import ClassOverride as ClassOverrideSpec
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy, CooldownPolicySpec
from cliproxy_api.resources.cooldownpolicy import Recovery as RecoverySpec
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.snapshot import ClassOverride, CooldownRules, Recovery
from cliproxy_operator.validate import Diagnostic, warning


@dataclass(frozen=True, slots=True)
class InForce:
    """What is in force for one provider."""

    policy: CooldownPolicy | None
    """None: the built-in rules."""
    rules: CooldownRules
    diagnostics: tuple[Diagnostic, ...] = ()


class Policies:
    """The readable policies of one namespace, looked up by providers."""

    def __init__(
        self, namespace: str, accepted: Iterable[CooldownPolicy], refused_names: Iterable[str]
    ) -> None:
        self._namespace = namespace
        self._by_name = {policy.metadata.name: policy for policy in accepted}
        self._refused = frozenset(refused_names)
        marked = [policy for policy in self._by_name.values() if policy.spec.default]
        self._defaults = sorted(marked, key=_age)
        self._chosen: dict[str, InForce] = {}

    def surplus(self, policy: CooldownPolicy) -> tuple[Diagnostic, ...]:
        """Return a warning if the policy is marked as default but another one is older."""
        if policy not in self._defaults[1:]:
            return ()
        winner = self._defaults[0].metadata.name
        message = f"CooldownPolicy {winner!r} is the namespace's default already and older; only one may be"
        return (warning(Reason.DUPLICATE_DEFAULT, "spec.default", message),)

    def in_force(self, provider: LLMProvider) -> InForce:
        """Return the policy for a provider: the named one, else the namespace's default, else built-in rules.

        A provider whose policy is missing runs on: in GitOps the policy often arrives a moment later, and a
        provider without its policy is better than none.
        """
        ref = provider.spec.cooldown_policy_ref
        if ref is not None and ref.name in self._by_name:
            return self._choose(self._by_name[ref.name])
        fallback = self._choose(self._defaults[0]) if self._defaults else InForce(None, CooldownRules())
        if ref is None:
            return fallback
        instead = (
            f"the namespace's default policy {fallback.policy.metadata.name!r} is"
            if fallback.policy is not None
            else "the built-in rules are"
        )
        refused = ref.name in self._refused
        message = (
            f"CooldownPolicy {ref.name!r} {'is not valid' if refused else 'does not exist'} in namespace "
            f"{self._namespace!r}; {instead} in force until it {'is mended' if refused else 'appears'}"
        )
        reason = Reason.POLICY_INVALID if refused else Reason.POLICY_NOT_FOUND
        diagnostic = warning(reason, "spec.cooldownPolicyRef.name", message)
        return InForce(fallback.policy, fallback.rules, (diagnostic,))

    def _choose(self, policy: CooldownPolicy) -> InForce:
        """Return a policy with its rules, worked out once however many providers it is in force for."""
        name = policy.metadata.name
        if name not in self._chosen:
            self._chosen[name] = InForce(policy, cooldown_rules(policy.spec))
        return self._chosen[name]


def cooldown_rules(spec: CooldownPolicySpec) -> CooldownRules:
    """Return a valid policy as rules, durations in seconds."""
    return CooldownRules(
        enabled=spec.enabled,
        detection_window_s=parse_duration_s(spec.detection_window),
        error_threshold=spec.error_threshold,
        default_s=parse_duration_s(spec.durations.default),
        rate_limit_s=parse_duration_s(spec.durations.rate_limit),
        error_s=parse_duration_s(spec.durations.error),
        quota_exhausted_s=parse_duration_s(spec.durations.quota_exhausted),
        auth_s=parse_duration_s(spec.durations.auth),
        honor_provider_hints=spec.honor_provider_hints,
        max_duration_s=parse_duration_s(spec.max_duration),
        multiplier=spec.backoff.multiplier,
        jitter=spec.backoff.jitter,
        scope=spec.scope,
        last_resort=spec.last_resort,
        max_wait_s=parse_duration_s(spec.max_wait),
        recovery=_recovery(spec.recovery),
        overrides={name: _override(override) for name, override in spec.class_overrides.items()},
    )


def _recovery(spec: RecoverySpec) -> Recovery:
    return Recovery(
        check_interval_s=parse_duration_s(spec.check_interval),
        probe=spec.probe,
        trials=spec.half_open_max_calls,
        ramp_percent=spec.ramp,
        max_attempts=spec.max_attempts,
        backoff_s=parse_duration_s(spec.backoff),
    )


def _override(spec: ClassOverrideSpec) -> ClassOverride:
    duration_s = parse_duration_s(spec.duration) if spec.duration is not None else None
    return ClassOverride(duration_s=duration_s, trip=spec.trip)


def _age(policy: CooldownPolicy) -> tuple[str, str]:
    # RFC 3339 in UTC sorts as text; an object without a date (not from a server) counts as the youngest.
    return policy.metadata.creation_timestamp or "9999", policy.metadata.name
