"""What an object may say, and probably should not: told to whoever applies it, refused by nobody.

Names of other objects are doubts, not faults: in GitOps the other often arrives a moment later. Secrets are
left to the status: who asks here is not known, and what stands in Secrets is not for everybody.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import Resource
from cliproxy_api.resources.proxyprofile import ProxyProfile

_CLUSTER: Final = re.compile(r"[^.]+|.*\.svc|.*\.svc\.cluster\.local|.*\.(local|internal|localhost)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known of the namespace that the object will stand in."""

    policies: frozenset[str] = frozenset()
    """Names of its CooldownPolicies."""
    default_policies: frozenset[str] = frozenset()
    """Those of them with `default: true`."""


def doubts(entry: Resource, around: Surroundings) -> tuple[str, ...]:
    """Return what to tell about an acceptable object, each a sentence that begins with the field."""
    if isinstance(entry, LLMProvider):
        return (*_address(entry), *_policy(entry, around))
    if isinstance(entry, CooldownPolicy):
        others = sorted(around.default_policies - {entry.metadata.name})
        if entry.spec.default and others:
            return (f"spec.default: CooldownPolicy {others[0]!r} is the namespace's default already",)
    if isinstance(entry, ProxyProfile) and (fault := entry.spec.fault_injection) is not None:
        return (f"spec.faultInjection: requests will fail on purpose until {fault.until}",)
    return ()


def _address(provider: LLMProvider) -> Iterator[str]:
    parts = urlsplit(provider.spec.base_url or "")
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme == "http" and provider.spec.credentials and not _near(host):
        yield "spec.baseURL: http carries the provider's key in clear text; use https"


def _near(host: str) -> bool:
    """Whether the host looks like one of the cluster or the machine."""
    try:
        address = ip_address(host)
    except ValueError:
        return _CLUSTER.fullmatch(host) is not None
    return address.is_private or address.is_loopback


def _policy(provider: LLMProvider, around: Surroundings) -> Iterator[str]:
    reference = provider.spec.cooldown_policy_ref
    if reference is not None and reference.name not in around.policies:
        yield (
            f"spec.cooldownPolicyRef.name: there is no CooldownPolicy {reference.name!r} in this namespace"
            " yet; until there is, the default is in force"
        )
