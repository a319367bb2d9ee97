"""What the compiler reads: one frozen value per namespace, gathered from the object store.

Values of Secrets are not in here, only digests of them; `publish` puts the values beside the snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.proxyprofile import ProxyProfile


class Kind(StrEnum):
    """The kinds that the operator reconciles."""

    LLM_PROVIDER = "LLMProvider"
    COOLDOWN_POLICY = "CooldownPolicy"
    PROXY_PROFILE = "ProxyProfile"
    ALERT_RULE = "AlertRule"


PLURALS: Final[Mapping[Kind, str]] = {
    Kind.LLM_PROVIDER: "llmproviders",
    Kind.COOLDOWN_POLICY: "cooldownpolicies",
    Kind.PROXY_PROFILE: "proxyprofiles",
    Kind.ALERT_RULE: "alertrules",
}
"""The kinds' names in API paths."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """Names one object of ours."""

    kind: Kind
    namespace: str
    name: str

    @property
    def id(self) -> str:
        """The object as "namespace/name": for a provider, what scopes, state and reports call it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ParseFailure:
    """An object that the API server holds but that is not what its kind should be.

    It comes from servers that do not enforce the whole schema, or from an older version's objects.
    """

    key: ObjectKey
    uid: str
    generation: int
    path: str
    """The field at fault, as in YAML ("spec.models[0].name"); "" for the whole object."""
    message: str
    """What is wrong and what would be right."""


@dataclass(frozen=True, slots=True)
class SecretView:
    """What the compiler may know of a Secret."""

    digests: Mapping[str, str]
    """By key of `data`: a digest of the value, which changes when it does; empty values are left out."""


@dataclass(frozen=True, slots=True)
class AddressRules:
    """The operator's own word on what a `baseURL` may point at."""

    allow_link_local: bool = False
    """Link-local addresses and the cloud metadata names."""
    allow_api_server: bool = False
    api_server_hosts: frozenset[str] = frozenset()
    """Names and addresses of the API server, lower case, as the operator itself reaches it."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that the snapshots of one namespace are made from; the order of entries does not matter."""

    namespace: str
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the namespace itself, for providers of other namespaces that select theirs by label."""
    providers: tuple[LLMProvider | ParseFailure, ...] = ()
    """The namespace's own, and any of other namespaces that may admit it: `compile` asks each."""
    policies: tuple[CooldownPolicy | ParseFailure, ...] = ()
    """Of every namespace that `providers` come from: a provider's policy is its own namespace's."""
    profiles: tuple[ProxyProfile | ParseFailure, ...] = ()
    """The namespace's own."""
    alert_rules: tuple[AlertRule | ParseFailure, ...] = ()
    """The namespace's own."""
    secrets: Mapping[tuple[str, str], SecretView | None] = field(default_factory=dict)
    """By (namespace, name), for what `needed_secrets` asks; None or absent: there is no such Secret."""
    profile_names: frozenset[str] = frozenset()
    """Profiles that sidecar pods of the namespace ask for; "" is compiled whether asked for or not."""
    addresses: AddressRules = AddressRules()


def provider_key(provider: LLMProvider | ParseFailure) -> ObjectKey:
    """Return the key of a provider that may not have been readable."""
    return key_of(Kind.LLM_PROVIDER, provider)


def key_of(
    kind: Kind, entry: LLMProvider | CooldownPolicy | ProxyProfile | AlertRule | ParseFailure
) -> ObjectKey:
    """Return the key of an entry of `Inputs`."""
    if isinstance(entry, ParseFailure):
        return entry.key
    return ObjectKey(kind=kind, namespace=entry.metadata.namespace, name=entry.metadata.name)
