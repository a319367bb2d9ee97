"""Objects to snapshots: pure, total, isolated and independent of the order of its inputs.

One object's fault becomes a diagnostic for that object and leaves all others alone. A provider's own part is
in `compile_provider`, a policy's in `compile_policy`, a profile's in `compile_profile`; what is wrong in one
object `validate` says.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from cliproxy_api.codec import seal
from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import ParseFailure, Resource
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.snapshot import ObjectVersion, Profile, Provider, Snapshot
from cliproxy_api.vocabulary import NamespacesFrom
from cliproxy_operator.compile_alerts import alert_diagnostics, alert_secrets
from cliproxy_operator.compile_consumers import unpriced
from cliproxy_operator.compile_policy import Policies
from cliproxy_operator.compile_profile import build_profile, profile_secrets
from cliproxy_operator.compile_provider import build_provider, resolve_credentials, unpriced_quota
from cliproxy_operator.ineffective import without_effect
from cliproxy_operator.inputs import Inputs, Kind, ObjectKey, key_of
from cliproxy_operator.memo import Memo
from cliproxy_operator.validate import MAX_DIAGNOSTICS, Diagnostic, is_refused, validate


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one namespace's objects come to."""

    snapshots: Mapping[str, Snapshot]
    """By profile name, sealed: "" always, and every wanted profile that exists and is valid."""
    diagnostics: Mapping[ObjectKey, tuple[Diagnostic, ...]]
    """For every object of the namespace itself; empty: nothing to complain about."""
    providers: Mapping[str, Provider]
    """By id: what any snapshot of the namespace may hold, also that of other namespaces."""
    policy_users: Mapping[ObjectKey, tuple[str, ...]]
    """By policy of this namespace: names of the providers that it is in force for, sorted."""
    missing_profiles: frozenset[str]
    """Profiles that pods ask for and that do not exist or are not valid."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A provider that goes into snapshots, with what it was made from."""

    provider: Provider
    labels: Mapping[str, str]
    sources: frozenset[ObjectVersion]


@dataclass(frozen=True, slots=True)
class _Followed:
    """A profile that is accepted, as its sidecars run it, and the providers that it selects."""

    profile: ProxyProfile
    built: Profile
    chosen: tuple[_Ready, ...]


def compile_namespace(inputs: Inputs, memo: Memo | None = None) -> Compiled:
    """Return the snapshots of a namespace and what is wrong with its objects. Never raises.

    `memo` is of the namespace's compilation before, and makes the same result cheaper.
    """
    memo = memo or Memo()
    memo.begin()
    return _Compilation(inputs, memo).run()


def needed_secrets(inputs: Inputs) -> frozenset[tuple[str, str]]:
    """Return (namespace, name) of every Secret that the result depends on."""
    keys = frozenset(
        (provider.metadata.namespace, credential.secret_ref.name)
        for provider in inputs.providers
        if isinstance(provider, LLMProvider) and _admits(provider, inputs)
        for credential in provider.spec.credentials
    )
    return keys.union(
        *(profile_secrets(profile) for profile in inputs.profiles if isinstance(profile, ProxyProfile)),
        *(alert_secrets(rule) for rule in inputs.alert_rules if isinstance(rule, AlertRule)),
    )


class _Compilation:
    def __init__(self, inputs: Inputs, memo: Memo) -> None:
        self._inputs = inputs
        self._memo = memo
        self._diagnostics: dict[ObjectKey, tuple[Diagnostic, ...]] = {}
        self._users: dict[ObjectKey, list[str]] = {}

    def run(self) -> Compiled:
        inputs = self._inputs
        policies = self._policies()
        ready = [one for provider in inputs.providers if (one := self._provider(provider, policies))]
        ready.sort(key=lambda one: one.provider.id)
        for rule in inputs.alert_rules:
            found = self._validate(rule)
            if isinstance(rule, AlertRule):
                found = (*found, *alert_diagnostics(rule, inputs.secrets, inputs.addresses))
            self._note(Kind.ALERT_RULE, rule, found[:MAX_DIAGNOSTICS])
        profiles = self._profiles(ready)
        snapshots = {"": self._snapshot(Profile(), frozenset(), ready)}
        for name in inputs.profile_names & profiles.keys():
            snapshots[name] = self._of_profile(profiles[name])
        return Compiled(
            snapshots=snapshots,
            diagnostics=self._diagnostics,
            providers={one.provider.id: one.provider for one in ready},
            policy_users={key: tuple(sorted(names)) for key, names in self._users.items()},
            missing_profiles=inputs.profile_names - snapshots.keys(),
        )

    def _validate(self, entry: Resource | ParseFailure) -> tuple[Diagnostic, ...]:
        addresses = self._inputs.addresses
        if isinstance(entry, ParseFailure):
            return validate(entry, addresses)
        named = (entry.metadata.namespace, entry.metadata.name, addresses)
        return self._memo.of("validate", entry.spec, named, partial(validate, entry, addresses))

    def _policies(self) -> Mapping[str, Policies]:
        accepted: dict[str, list[CooldownPolicy]] = defaultdict(list)
        refused: dict[str, list[str]] = defaultdict(list)
        found: dict[ObjectKey, tuple[Diagnostic, ...]] = {}
        for policy in self._inputs.policies:
            key = key_of(Kind.COOLDOWN_POLICY, policy)
            found[key] = self._validate(policy)
            if isinstance(policy, ParseFailure) or is_refused(found[key]):
                refused[key.namespace].append(key.name)
            else:
                accepted[key.namespace].append(policy)
        namespaces = {entry.metadata.namespace for entry in self._inputs.providers} | {*accepted, *refused}
        by_namespace = {name: Policies(name, accepted[name], refused[name]) for name in namespaces}
        for policy in self._inputs.policies:
            key = key_of(Kind.COOLDOWN_POLICY, policy)
            surplus = (
                by_namespace[key.namespace].surplus(policy) if isinstance(policy, CooldownPolicy) else ()
            )
            self._note(Kind.COOLDOWN_POLICY, policy, (*found[key], *surplus))
            if key.namespace == self._inputs.namespace:
                self._users[key] = []
        return by_namespace

    def _provider(self, entry: LLMProvider | ParseFailure, policies: Mapping[str, Policies]) -> _Ready | None:
        found = self._validate(entry)
        if isinstance(entry, ParseFailure):
            self._note(Kind.LLM_PROVIDER, entry, found)
            return None
        credentials, missing = resolve_credentials(entry, self._inputs.secrets)
        in_force = policies[entry.metadata.namespace].in_force(entry)
        found = (*found, *missing, *in_force.diagnostics, *unpriced_quota(entry))
        self._note(Kind.LLM_PROVIDER, entry, found)
        sources = {_version(Kind.LLM_PROVIDER, entry)}
        if in_force.policy is not None:
            sources.add(_version(Kind.COOLDOWN_POLICY, in_force.policy))
            key = key_of(Kind.COOLDOWN_POLICY, in_force.policy)
            if key in self._users:
                self._users[key].append(entry.metadata.name)
        if is_refused(found) or not entry.spec.enabled or not _admits(entry, self._inputs):
            return None
        provider = self._memo.of(
            "provider",
            entry.spec,
            (entry.metadata.namespace, entry.metadata.name, credentials, in_force.rules),
            partial(
                build_provider,
                entry,
                credentials=credentials,
                rules=in_force.rules,
                seen_from=self._inputs.namespace,
            ),
        )
        return _Ready(provider, entry.metadata.labels, frozenset(sources))

    def _profiles(self, ready: Iterable[_Ready]) -> Mapping[str, _Followed]:
        accepted: dict[str, _Followed] = {}
        for profile in self._inputs.profiles:
            found = self._validate(profile)
            if isinstance(profile, ProxyProfile) and not is_refused(found):
                selector = profile.spec.provider_selector
                chosen = tuple(one for one in ready if selector.matches(dict(one.labels)))
                built, missing = build_profile(profile, self._inputs.secrets)
                found = (*found, *missing, *unpriced(built.consumers, (one.provider for one in chosen)))
                accepted[profile.metadata.name] = _Followed(profile, built, chosen)
            self._note(Kind.PROXY_PROFILE, profile, found)
        return accepted

    def _of_profile(self, followed: _Followed) -> Snapshot:
        sources = frozenset({_version(Kind.PROXY_PROFILE, followed.profile)})
        return self._snapshot(followed.built, sources, followed.chosen)

    def _snapshot(
        self, profile: Profile, sources: frozenset[ObjectVersion], ready: Iterable[_Ready]
    ) -> Snapshot:
        chosen = tuple(ready)
        objects = sources.union(*(one.sources for one in chosen))
        return seal(
            Snapshot(
                namespace=self._inputs.namespace,
                profile=profile,
                providers=tuple(one.provider for one in chosen),
                objects=tuple(sorted(objects)),
            )
        )

    def _note(self, kind: Kind, entry: Resource | ParseFailure, found: tuple[Diagnostic, ...]) -> None:
        # Each namespace speaks about its own objects only; another's are judged there.
        if not isinstance(entry, ParseFailure) and not is_refused(found):
            found = (*found, *without_effect(entry))[:MAX_DIAGNOSTICS]
        if entry.metadata.namespace == self._inputs.namespace:
            self._diagnostics[key_of(kind, entry)] = found


def _admits(provider: LLMProvider, inputs: Inputs) -> bool:
    """Whether the provider's owner lets this namespace's sidecars use it, keys included."""
    if provider.metadata.namespace == inputs.namespace:
        return True
    allowed = provider.spec.allowed_namespaces
    match allowed.from_:
        case NamespacesFrom.SAME:
            return False
        case NamespacesFrom.ALL:
            return True
        case NamespacesFrom.SELECTOR:
            return allowed.selector is not None and allowed.selector.matches(dict(inputs.namespace_labels))
        case _:
            assert_never(allowed.from_)


def _version(kind: Kind, entry: Resource) -> ObjectVersion:
    metadata = entry.metadata
    return ObjectVersion(
        kind=kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
    )
