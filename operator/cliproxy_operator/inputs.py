"""What the compiler reads: one frozen value per namespace, gathered from the object store.

Values of Secrets are not in here, only digests of them; `publish` puts the values beside the snapshot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import ParseFailure, Resource
from cliproxy_api.resources.proxyprofile import ProxyProfile


class Kind(StrEnum):
    """The kinds that the operator reconciles."""

    LLM_PROVIDER = "LLMProvider"
    COOLDOWN_POLICY = "CooldownPolicy"
    PROXY_PROFILE = "ProxyProfile"
    ALERT_RULE = "AlertRule"


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
    """The API server, under Kubernetes' own names for it and under `api_servers`."""
    api_servers: frozenset[tuple[str, int]] = frozenset()
    """Host (lower case) and port of the API server as the operator itself reaches it."""


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


def key_of(kind: Kind, entry: Resource | ParseFailure) -> ObjectKey:
    """Return the key of an entry of `Inputs`, readable or not."""
    return ObjectKey(kind=kind, namespace=entry.metadata.namespace, name=entry.metadata.name)
