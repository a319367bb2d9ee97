"""Fields that are accepted and have no effect in this version: said, never ignored in silence.

A field leaves this list with the commit that gives it its effect.
"""

from collections.abc import Iterator

from cliproxy_api.conditions import Reason
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import Resource
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_api.vocabulary import FailoverMode
from cliproxy_operator.validate import Diagnostic, warning


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
        yield "spec.connectionPool.http2", "HTTP/1.1 is spoken"


def _profile(profile: ProxyProfile) -> Iterator[tuple[str, str]]:
    spec = profile.spec
    if spec.failover.mode is not FailoverMode.NONE:
        yield "spec.failover", "declare the backup as an LLMProvider with a higher priority number"
