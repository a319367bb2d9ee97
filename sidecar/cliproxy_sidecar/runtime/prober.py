"""Probes the providers that are this sidecar's duty: unbilled calls, on time, each with its verdict.

Whose duty a probe is and what follows from its end is `core.health`'s; how a call is made is handed in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from cliproxy_api.chance import Chance
from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import HealthCheckMode
from cliproxy_sidecar.runtime.clock import now_s
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.tasks import Tasks

MAX_START_DELAY_S: Final = 10.0
"""First probes are spread over this time, so that sidecars that start together do not knock together."""
_AUTH_FAILURES: Final = frozenset({401, 403})
_SERVER_ERRORS: Final = 500


class ProbeFailed(Exception):
    """The provider did not answer; the message says how, in one line without keys."""


Ask = Callable[[Provider], Awaitable[int]]
"""Make one HTTP probe and return its status; raises `ProbeFailed`."""


class Prober:
    """One background task per duty."""

    def __init__(self, machines: Machines, tasks: Tasks, chance: Chance, ask: Ask) -> None:
        self._machines = machines
        self._tasks = tasks
        self._chance = chance
        self._ask = ask
        self._running: dict[str, tuple[Provider, asyncio.Task[None]]] = {}

    def follow(self) -> None:
        """Bring the tasks in line with the duties; call after every change of them."""
        duties = self._machines.health.duties()
        wanted = {provider.id: provider for provider in self._machines.providers if provider.id in duties}
        for provider_id, (probed, task) in list(self._running.items()):
            if not _is_same(probed, wanted.get(provider_id)):
                task.cancel()
                del self._running[provider_id]
        for provider_id, provider in wanted.items():
            if provider_id not in self._running:
                task = self._tasks.keep(partial(self._go_on, provider), f"probe {provider_id}")
                self._running[provider_id] = (provider, task)

    async def _go_on(self, provider: Provider) -> None:
        interval_s = provider.health_check.interval_s
        # A new leader comes within seconds. Would all sidecars probe all providers until then, it would be an
        # onslaught; somebody has the duty, and goes on with it.
        wait_s = interval_s if self._machines.health.stands_in(provider.id) else 0.0
        await asyncio.sleep(wait_s + self._chance.random() * min(interval_s, MAX_START_DELAY_S))
        while True:
            started_s = now_s()
            error = await self.probe(provider)
            latency_ms = int((now_s() - started_s) * 1000)
            self._machines.probed(provider, ok=not error, latency_ms=latency_ms, error=error)
            await asyncio.sleep(max(started_s + interval_s - now_s(), interval_s / 10))

    async def probe(self, provider: Provider) -> str:
        """Return what is wrong with a provider, in one line; "" if it answers."""
        check = provider.health_check
        try:
            async with asyncio.timeout(check.timeout_s):
                if check.mode is HealthCheckMode.TCP:
                    await _connect(provider.base_url)
                    return ""
                return _judge(await self._ask(provider), check.expected_statuses)
        except TimeoutError:
            return f"no answer within {check.timeout_s:g} s"
        except (ProbeFailed, OSError) as error:
            return str(error)[:200] or type(error).__name__


def _judge(status: int, expected: tuple[int, ...]) -> str:
    if expected:
        return "" if status in expected else f"status {status}, expected {', '.join(map(str, expected))}"
    if status in _AUTH_FAILURES:
        return f"status {status}: the credential is refused"
    return f"status {status}" if status >= _SERVER_ERRORS else ""


async def _connect(base_url: str) -> None:
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    _, writer = await asyncio.open_connection(parts.hostname, port)
    writer.close()


def _is_same(probed: Provider, wanted: Provider | None) -> bool:
    """Whether a running task may go on: what it would ask, and how, is what is wanted."""
    if wanted is None:
        return False
    return (probed.base_url, probed.health_check, probed.credentials, probed.type, probed.headers) == (
        wanted.base_url,
        wanted.health_check,
        wanted.credentials,
        wanted.type,
        wanted.headers,
    )
