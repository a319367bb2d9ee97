"""Fields that are accepted and have no effect in this version: said, with what to do instead.

A field leaves this list with the commit that gives it its effect.
"""

from collections.abc import Iterator
from typing import assert_never

from cliproxy_api.conditions import Reason
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import Resource
from cliproxy_api.resources.proxyprofile import Failover, ProxyProfile
from cliproxy_api.vocabulary import FailoverMode
from cliproxy_operator.validate import Diagnostic, warning

HTTP2 = (
    "HTTP/1.1 is spoken, one request on a connection at a time; if connections are short raise "
    "spec.connectionPool.maxConnections, and where only HTTP/2 is served put a proxy that speaks both between"
)


def without_effect(entry: Resource) -> tuple[Diagnostic, ...]:
    """Return a warning for each field that asks for something this version does not do."""
    if isinstance(entry, LLMProvider):
        found = _provider(entry)
    elif isinstance(entry, ProxyProfile):
        found = _profile(entry)
    else:
        return ()
    return tuple(
        warning(Reason.NO_EFFECT, path, f"has no effect in this version; {instead}")
        for path, instead in found
    )


def _provider(provider: LLMProvider) -> Iterator[tuple[str, str]]:
    if provider.spec.connection_pool.http2:
        yield "spec.connectionPool.http2", HTTP2


def _profile(profile: ProxyProfile) -> Iterator[tuple[str, str]]:
    instead = _backup(profile.spec.failover)
    if instead:
        yield "spec.failover", instead


def _backup(failover: Failover) -> str:
    """Return how the same is had with an LLMProvider, which brings models, a key and probes."""
    match failover.mode:
        case FailoverMode.NONE:
            return ""
        case FailoverMode.ACTIVE_PASSIVE:
            place = "a spec.priority number above all others': it serves when none of them can"
        case FailoverMode.ACTIVE_ACTIVE:
            place = "the others' spec.priority: it serves as one more, by spec.weight"
        case _:
            assert_never(failover.mode)
    return (
        f"declare the backup as an LLMProvider of type openai_compatible or anthropic with spec.baseURL "
        f"{failover.backup_url}, its models, and {place}"
    )
