"""Ask a container whether it is ready, as its readinessProbe says.

Knows httpGet and tcpSocket; what follows from the answers is left to `container`.
Source: kubernetes.io, "Configure Liveness, Readiness and Startup Probes" (periods, thresholds).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import aiohttp

from cliproxy_dev.kube import Json

GOOD_STATUSES = range(200, 400)


@dataclass(frozen=True, slots=True)
class Probe:
    """One readiness probe with its defaults filled in. `url` is empty for a bare TCP connection."""

    host: str
    port: int
    url: str
    headers: dict[str, str]
    initial_delay_s: float
    period_s: float
    timeout_s: float
    failures_allowed: int

    @classmethod
    def of(cls, container: Json, pod_ip: str) -> Probe | None:
        """Read a container's probe; None when it has none that we know: ready is then when it runs."""
        spec = container.get("readinessProbe") or {}
        action = spec.get("httpGet") or spec.get("tcpSocket")
        if action is None:
            return None
        host, port = action.get("host") or pod_ip, _port(container, action["port"])
        scheme = action.get("scheme", "HTTP").lower()
        url = f"{scheme}://{host}:{port}/{action.get('path', '/').lstrip('/')}" if "httpGet" in spec else ""
        return cls(
            host=host,
            port=port,
            url=url,
            headers={entry["name"]: entry["value"] for entry in action.get("httpHeaders") or []},
            initial_delay_s=float(spec.get("initialDelaySeconds", 0)),
            period_s=float(spec.get("periodSeconds", 10)),
            timeout_s=float(spec.get("timeoutSeconds", 1)),
            failures_allowed=int(spec.get("failureThreshold", 3)) - 1,
        )

    async def succeeds(self, session: aiohttp.ClientSession) -> bool:
        """Ask once."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await (self._http(session) if self.url else self._tcp())
        except (OSError, aiohttp.ClientError, TimeoutError):
            return False

    async def _http(self, session: aiohttp.ClientSession) -> bool:
        # Kubelet does not check certificates, and takes a redirect as success.
        async with session.get(self.url, headers=self.headers, ssl=False, allow_redirects=False) as response:
            return response.status in GOOD_STATUSES

    async def _tcp(self) -> bool:
        _, writer = await asyncio.open_connection(self.host, self.port)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True


def _port(container: Json, port: int | str) -> int:
    """Return the number of a port, which may be given by a name."""
    for entry in container.get("ports") or []:
        if entry.get("name") == port:
            return int(entry["containerPort"])
    return int(port)
