"""One POST to a receiver's address: bounded in time, no redirects, no cookies, nothing of the answer kept.

The address may itself be a secret (Slack's), so only its host is ever named. Honours HTTP(S)_PROXY, since
clusters often let only a proxy out.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

import aiohttp
from yarl import URL

from cliproxy_operator.clock import Clock
from cliproxy_operator.notify.outcome import Later, Never, Outcome, of_status

TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
MAX_CONNECTIONS: Final = 64
_HEADERS: Final = {"Content-Type": "application/json", "User-Agent": "cliproxy-operator"}


class HttpSender:
    """POSTs over one session, made at the first one."""

    def __init__(self, *, clock: Clock, timeout_s: float = TIMEOUT_S) -> None:
        """`timeout_s` bounds one try as a whole."""
        self._clock = clock
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Outcome:
        """Send JSON once and judge the answer; never raises for what a receiver or a network does."""
        target = _read(url)
        if target is None:
            return Never("the address is no http or https URL")
        try:
            async with self._open().post(
                target, data=body, headers={**_HEADERS, **(headers or {})}, allow_redirects=False
            ) as response:
                return of_status(response.status, response.headers.get("Retry-After"), self._clock.utc())
        except TimeoutError:
            return Later(f"{target.host} did not answer within {self._timeout_s:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Later(_trouble(target.host or "", error))

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # transports close in the next turn of the loop
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, connect=CONNECT_TIMEOUT_S),
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, limit_per_host=8),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session


def _read(url: str) -> URL | None:
    try:
        target = URL(url)
    except ValueError:
        return None
    return target if target.host and target.scheme in ("http", "https") else None


def _trouble(host: str, error: Exception) -> str:
    """Say what is wrong, naming the host only: an address may be a secret."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"{host} shows a certificate that is not trusted here"
        case aiohttp.ClientSSLError():
            return f"no TLS connection to {host} could be made"
        case aiohttp.ClientConnectorError():
            return f"{host} cannot be reached: {error.os_error.strerror or 'no connection'}"
        case _:
            return f"the connection to {host} broke: {type(error).__name__}"
