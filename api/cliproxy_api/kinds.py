"""Our kinds and those we deal with, and where an API server serves them.

The only place where names of objects become part of an address.
"""

import re
from dataclasses import dataclass
from typing import Final

from cliproxy_api.vocabulary import API_GROUP, API_VERSION, SIDECAR_LABEL

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""Of all kinds below: a DNS name. Source: kubernetes.io, "Object Names and IDs" (read 2026-11-22)."""


class NoName(ValueError):
    """No object and no namespace can be called so."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object and its place in the API."""

    kind: str
    group: str
    version: str
    plural: str
    namespaced: bool = True
    selector: str = ""
    """Label selector that the server applies to lists and watches."""

    @property
    def api_version(self) -> str:
        """`apiVersion` as objects carry it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, sub: str | None = None) -> str:
        """Return the URL path of a collection (no name), an object, or its subresource.

        Raises:
            NoName: the name or the namespace is none. Put into an address as it is, `../secrets?` would ask
                for something else, and an empty name for (or delete) the whole collection.

        """
        if name is not None and not _NAME.fullmatch(name):
            raise NoName(f"{name[:80]!r} is no name that a {self.kind} can have")
        if namespace and not is_namespace(namespace):
            raise NoName(f"{namespace[:80]!r} is no name that a namespace can have")
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace and self.namespaced:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, sub) if part]
        return "/" + "/".join(parts)


def is_namespace(text: str) -> bool:
    """Whether a namespace can be called so."""
    return _NAMESPACE.fullmatch(text) is not None


PROVIDER: Final = Resource("LLMProvider", API_GROUP, API_VERSION, "llmproviders")
POLICY: Final = Resource("CooldownPolicy", API_GROUP, API_VERSION, "cooldownpolicies")
ALERT_RULE: Final = Resource("AlertRule", API_GROUP, API_VERSION, "alertrules")
PROFILE: Final = Resource("ProxyProfile", API_GROUP, API_VERSION, "proxyprofiles")
SECRET: Final = Resource("Secret", "", "v1", "secrets")
POD: Final = Resource("Pod", "", "v1", "pods", selector=f"{SIDECAR_LABEL}=true")
NAMESPACE: Final = Resource("Namespace", "", "v1", "namespaces", namespaced=False)
EVENT: Final = Resource("Event", "", "v1", "events")
LEASE: Final = Resource("Lease", "coordination.k8s.io", "v1", "leases")

CUSTOM: Final = (PROVIDER, POLICY, ALERT_RULE, PROFILE)
"""Kinds that carry a status of ours."""
