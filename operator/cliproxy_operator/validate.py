"""What the CRD schema cannot say about one object, as diagnostics: rules across fields, addresses, headers.

Used by `compile` and by admission; what depends on other objects (Secrets, policies) `compile*` finds. Rules
across fields are `cliproxy_api.rules`: servers that enforce CEL have refused those objects already.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cliproxy_api.conditions import Reason, clip
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import ParseFailure, Resource
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.rules import violations
from cliproxy_operator.addresses import refusal
from cliproxy_operator.inputs import AddressRules

MAX_DIAGNOSTICS: Final = 10
"""Of one object; by then a person has enough to do."""
MAX_MESSAGE_CHARS: Final = 512

_KEY_HEADERS: Final = frozenset(
    {
        "ocp-apim-subscription-key",
        "set-cookie",
        "x-access-token",
        "x-amz-security-token",
        "x-auth-token",
    }
)
"""Carry keys, besides those that `cliproxy_api.rules` refuses."""


class Severity(StrEnum):
    """How bad a diagnostic is."""

    ERROR = "Error"
    """The object is left out."""
    WARNING = "Warning"
    """The object is in force, less what the message says."""


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One thing that is wrong with an object."""

    severity: Severity
    reason: str
    """One CamelCase word, `cliproxy_api.conditions.Reason`."""
    path: str
    """The field, as in YAML ("spec.credentials[0].secretRef"); "" for the whole object."""
    message: str
    """What is wrong and what to do about it, to be read after the path."""

    def __str__(self) -> str:
        """Return path and message as one sentence."""
        return f"{self.path}: {self.message}" if self.path else self.message


def error(reason: Reason, path: str, message: str) -> Diagnostic:
    """Return a fault that leaves the object out."""
    return Diagnostic(Severity.ERROR, reason, path, clip(message, MAX_MESSAGE_CHARS))


def warning(reason: Reason, path: str, message: str) -> Diagnostic:
    """Return a fault that the object can do with."""
    return Diagnostic(Severity.WARNING, reason, path, clip(message, MAX_MESSAGE_CHARS))


def is_refused(diagnostics: tuple[Diagnostic, ...]) -> bool:
    """Whether any of them leaves the object out."""
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)


def validate(entry: Resource | ParseFailure, addresses: AddressRules) -> tuple[Diagnostic, ...]:
    """Return what is wrong with an object on its own, at most 10; empty: it is acceptable."""
    if isinstance(entry, ParseFailure):
        found = [error(Reason.INVALID, problem.path, problem.message) for problem in entry.problems]
        return tuple(found[:MAX_DIAGNOSTICS])
    found = [error(Reason.INVALID, problem.path, problem.message) for problem in violations(entry)]
    if isinstance(entry, LLMProvider):
        found += _provider(entry, addresses)
    elif isinstance(entry, ProxyProfile):
        found += _address(entry.spec.failover.backup_url, "spec.failover.backupURL", addresses)
        if entry.spec.tracing is not None:
            found += _address(entry.spec.tracing.endpoint, "spec.tracing.endpoint", addresses)
        if entry.spec.cache.redis is not None:
            found += _address(entry.spec.cache.redis.url, "spec.cache.redis.url", addresses)
    return tuple(found[:MAX_DIAGNOSTICS])


def _provider(provider: LLMProvider, addresses: AddressRules) -> list[Diagnostic]:
    found = _address(provider.spec.base_url, "spec.baseURL", addresses)
    names = Counter(name.lower() for name in provider.spec.headers)
    for name, count in sorted(names.items()):
        path = f"spec.headers[{name}]"
        if count > 1:
            found.append(error(Reason.HEADER_REFUSED, path, "is there twice, in different cases; keep one"))
        if name in _KEY_HEADERS:
            sentence = (
                "carries a key, which must not stand here; put it into a Secret and name it in credentials"
            )
            found.append(error(Reason.HEADER_REFUSED, path, sentence))
    return found


def _address(url: str | None, path: str, addresses: AddressRules) -> list[Diagnostic]:
    refused = refusal(url, addresses) if url is not None else None
    return [error(Reason.ADDRESS_REFUSED, path, refused)] if refused is not None else []
