"""Reads the store and the vault into one frozen `Inputs` per namespace; objects are parsed once per version.

Decides nothing. Secrets that are needed and not known are fetched here, one by one.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from cliproxy_api.resources import parse as resources
from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import ParseFailure
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.vocabulary import INJECT_LABEL, PROFILE_ANNOTATION, NamespacesFrom
from cliproxy_operator.inputs import AddressRules, Inputs, Kind, ObjectKey
from cliproxy_operator.kinds import (
    CUSTOM,
    NAMESPACE,
    POD,
    PROFILE,
    SECRET,
    Resource,
)
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.store import Object, Store, name_of, version_of
from cliproxy_operator.vault import SecretName, Vault

log = logging.getLogger(__name__)

Parsed = LLMProvider | CooldownPolicy | ProxyProfile | AlertRule
P = TypeVar("P", LLMProvider, CooldownPolicy, ProxyProfile, AlertRule)

NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""Servers before 1.21 do not set it on namespaces; selectors by name shall work there too."""
FETCHES: Final = 8
RESOURCES: Final[Mapping[Kind, Resource]] = {Kind(resource.kind): resource for resource in CUSTOM}


class Gatherer:
    """Makes `Inputs` from what is known."""

    def __init__(self, *, store: Store, vault: Vault, kube: Kube, addresses: AddressRules) -> None:
        self._store = store
        self._vault = vault
        self._kube = kube
        self._addresses = addresses
        self._parsed: dict[ObjectKey, tuple[str, int, Any, Parsed | ParseFailure]] = {}
        """By object: uid, version and spec that were read, and what they came to."""

    def rewind(self) -> None:
        """Say that version numbers count anew: one that was read may come again with other content."""
        self._parsed.clear()

    def namespaces(self) -> frozenset[str]:
        """Return the namespaces that hold anything of ours, or a sidecar."""
        return frozenset(
            namespace for resource in (*CUSTOM, POD) for namespace, _ in self._store.keys(resource)
        )

    def served(self) -> frozenset[str]:
        """Return those namespaces, and the ones that are to get sidecars by injection."""
        marked = (
            str(raw["metadata"]["name"])
            for raw in self._store.all(NAMESPACE)
            if (raw["metadata"].get("labels") or {}).get(INJECT_LABEL) == "true"
        )
        return self.namespaces().union(marked)

    def profiles(self, namespace: str) -> set[str]:
        """Return the names of a namespace's profiles; "" (the defaults) is one if it holds anything."""
        names = {name for owner, name in self._store.keys(PROFILE) if owner == namespace}
        return names | {""} if namespace in self.namespaces() else names

    def one(self, key: ObjectKey) -> Parsed | ParseFailure | None:
        """Return one object, None if it is not there."""
        raw = self._store.get(RESOURCES[key.kind], key.namespace, key.name)
        if raw is None:
            self._parsed.pop(key, None)
            return None
        version, uid = version_of(raw), str(raw["metadata"].get("uid", ""))
        known = self._parsed.get(key)
        if known is not None and known[:2] == (uid, version):
            return known[3]
        spec = raw.get("spec")
        if known is not None and known[2] == spec and not isinstance(known[3], ParseFailure):
            parsed = resources.parse_again(known[3], raw)
        else:
            parsed = resources.parse(key.kind.value, raw)
        self._parsed[key] = (uid, version, spec, parsed)
        return parsed

    def keys(self, namespace: str) -> tuple[ObjectKey, ...]:
        """Return the namespace's objects that carry a status of ours."""
        return tuple(
            ObjectKey(Kind(resource.kind), namespace, name)
            for resource in CUSTOM
            for owner, name in sorted(self._store.keys(resource))
            if owner == namespace
        )

    def inputs(self, namespace: str, secrets: Iterable[SecretName] = ()) -> Inputs:
        """Return what the namespace's snapshots are made from."""
        guests = [
            provider
            for provider in self._all(LLMProvider, None)
            if is_shared(provider) and provider.metadata.namespace != namespace
        ]
        homes = {namespace} | {guest.metadata.namespace for guest in guests}
        return Inputs(
            namespace=namespace,
            namespace_labels=self._labels(namespace),
            providers=(*self._all(LLMProvider, namespace), *guests),
            policies=tuple(policy for home in sorted(homes) for policy in self._all(CooldownPolicy, home)),
            profiles=tuple(self._all(ProxyProfile, namespace)),
            alert_rules=tuple(self._all(AlertRule, namespace)),
            secrets=self._vault.views(secrets),
            profile_names=frozenset(profile_of(pod) for pod in self._store.all(POD, namespace)),
            addresses=self._addresses,
        )

    async def fetch(self, names: Iterable[SecretName]) -> None:
        """Read these Secrets into the vault; one that is not for us to read counts as missing.

        Raises:
            ApiError: the API server is away; nothing is known about the Secrets then.

        """
        gate = asyncio.Semaphore(FETCHES)

        async def one(name: SecretName) -> None:
            async with gate:
                try:
                    raw = await self._kube.get(SECRET, *name)
                except ApiError as error:
                    if error.passing:
                        raise
                    log.warning(
                        "secret cannot be read", extra={"secret": "/".join(name), "reason": error.reason}
                    )
                    raw = None
            if raw is None:
                self._vault.lost(name, version=-1)
            else:
                self._vault.put(raw)

        await asyncio.gather(*(one(name) for name in names))

    def _all(self, type_: type[P], namespace: str | None) -> list[P | ParseFailure]:
        kind = Kind(type_.__name__)
        entries = (
            self.one(ObjectKey(kind, *name_of(raw))) for raw in self._store.all(RESOURCES[kind], namespace)
        )
        return [entry for entry in entries if isinstance(entry, type_ | ParseFailure)]

    def _labels(self, namespace: str) -> dict[str, str]:
        raw = self._store.get(NAMESPACE, "", namespace)
        labels = dict((raw["metadata"].get("labels") if raw is not None else None) or {})
        return {NAME_LABEL: namespace, **labels}


def profile_of(pod: Object) -> str:
    """Return the name of the profile that a sidecar pod follows; "" for the defaults."""
    annotations: Mapping[str, Any] = pod["metadata"].get("annotations") or {}
    return str(annotations.get(PROFILE_ANNOTATION, ""))


def is_shared(provider: Parsed | ParseFailure | None) -> bool:
    """Whether other namespaces may use the provider."""
    return isinstance(provider, LLMProvider) and (
        provider.spec.allowed_namespaces.from_ is not NamespacesFrom.SAME
    )
