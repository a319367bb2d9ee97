"""One unbilled HTTP call to a provider through the same connections as requests.

When it is made and what its status means is the prober's.
"""

from collections.abc import Callable

from cliproxy_api.snapshot import Provider, Timeouts
from cliproxy_sidecar.core.addresses import probe_url
from cliproxy_sidecar.proxy.plan import Plan
from cliproxy_sidecar.proxy.upstream import UpstreamFailed, UpstreamRequest
from cliproxy_sidecar.runtime.prober import ProbeFailed


class HttpProbe:
    """Asks a provider with its first usable credential."""

    def __init__(self, plan: Callable[[], Plan | None]) -> None:
        self._plan = plan

    async def __call__(self, provider: Provider) -> int:
        """Return the status of one probe.

        Raises:
            ProbeFailed: no answer, or no way to ask.

        """
        plan = self._plan()
        line = plan.lines.get(provider.id) if plan is not None else None
        if plan is None or line is None:
            raise ProbeFailed("the provider is no longer configured")
        keys = (plan.fixed.get((provider.id, credential.name)) for credential in provider.credentials)
        fixed = next((headers for headers in keys if headers is not None), None)
        if fixed is None:
            raise ProbeFailed("no credential can be used")
        check = provider.health_check
        timeouts = Timeouts(
            connect_s=check.timeout_s,
            first_byte_s=check.timeout_s,
            idle_s=check.timeout_s,
            total_s=check.timeout_s,
        )
        defaults = (item for item in fixed.defaults if item[0] != b"content-type")
        request = UpstreamRequest(check.method, probe_url(provider), (*fixed.items, *defaults), b"")
        try:
            response = await line.upstream.send(request, timeouts)
        except UpstreamFailed as failure:
            raise ProbeFailed(failure.error.message) from None
        try:
            # A short answer is read to its end, so that the connection can be kept.
            await response.read()
            await response.read()
        except UpstreamFailed as failure:
            raise ProbeFailed(failure.error.message) from None
        finally:
            response.close()
        return response.status
