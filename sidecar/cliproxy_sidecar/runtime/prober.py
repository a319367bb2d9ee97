"""Probes the providers that are this sidecar's duty: unbilled calls, on time, each with its verdict.

Whose duty a probe is and what follows from its end is `core.health`'s; how a call is made is handed in.
"""

import asyncio
import math
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
STAND_IN_AFTER_S: Final = 10.0
"""How long the operator is away, at most, before others' probes are made ready here: hundreds of tasks, which
a change of leaders would have every sidecar begin and end for nothing, in the middle of callers' requests."""
_AUTH_FAILURES: Final = frozenset({401, 403})
_SERVER_ERRORS: Final = 500


class ProbeFailed(Exception):
    """The provider did not answer; the message says how, in one line without keys."""


Ask = Callable[[Provider], Awaitable[int]]
"""Make one HTTP probe and return its status; raises `ProbeFailed`."""


class Prober:
    """One background task per duty; those that are another's in good times begin late."""

    def __init__(self, machines: Machines, tasks: Tasks, chance: Chance, ask: Ask) -> None:
        self._machines = machines
        self._tasks = tasks
        self._chance = chance
        self._ask = ask
        self._running: dict[str, tuple[Provider, asyncio.Task[None]]] = {}
        self._waiting: asyncio.TimerHandle | None = None
        """Runs while there are others' probes to be made ready."""
        self._followed = -1
        """The turn of the health machine that the tasks are in line with."""

    def follow(self) -> None:
        """Bring the tasks in line with the duties; call after every change of them."""
        health, running = self._machines.health, self._running
        if health.turn == self._followed:
            return
        self._followed = health.turn
        duties = health.duties()
        wanted = {provider.id: provider for provider in self._machines.providers if provider.id in duties}
        for provider_id, (probed, task) in list(running.items()):
            if not _is_same(probed, wanted.get(provider_id)):
                task.cancel()
                del running[provider_id]
        after_s = math.inf
        for provider_id, provider in wanted.items():
            if provider_id in running:
                continue
            if health.stands_in(provider_id):
                after_s = min(after_s, STAND_IN_AFTER_S, provider.health_check.interval_s)
            else:
                self._begin(provider)
        if after_s == math.inf and self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        elif after_s < math.inf and self._waiting is None:
            self._waiting = asyncio.get_running_loop().call_later(after_s, self._stand_in)

    def _stand_in(self) -> None:
        """Make ready what others probed: the operator has been away for long."""
        self._waiting = None
        duties = self._machines.health.duties()
        for provider in self._machines.providers:
            if provider.id in duties and provider.id not in self._running:
                self._begin(provider)

    def _begin(self, provider: Provider) -> None:
        task = self._tasks.keep(partial(self._go_on, provider), f"probe {provider.id}")
        self._running[provider.id] = (provider, task)

    async def _go_on(self, provider: Provider) -> None:
        interval_s = provider.health_check.interval_s
        # A new leader comes within seconds. Would all sidecars probe all providers until then, it would be an
        # onslaught; somebody has the duty, and goes on with it.
        stands_in = self._machines.health.stands_in(provider.id)
        wait_s = max(0.0, interval_s - STAND_IN_AFTER_S) if stands_in else 0.0
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
