"""Applications that ask all the time, through every sidecar, and keep what became of each request.

Closed loop and paced: a sidecar that hangs delays its own callers only. What a lost request is, is left to
`checks`.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Final, Self

import aiohttp

from cliproxy_api.vocabulary import PROXY_PORT
from cliproxy_dev.clock import now_s
from cliproxy_dev.faults.checks import Asked
from cliproxy_dev.tasks import Tasks

PACE_S: Final = 0.04
"""Between two requests of one caller; there are two callers per sidecar."""
PATIENCE_S: Final = 90.0
"""A request that takes longer has been forgotten by somebody."""
CALLERS: Final = (("/v1/messages", "claude-sonnet-5"), ("/v1/chat/completions", "gpt-4o-mini"))


class Load:
    """The callers of some pods; `async with Load(addresses)` runs them."""

    def __init__(self, addresses: Callable[[], dict[str, str]]) -> None:
        """`addresses` gives the pods' addresses by name; asked for each request, as pods come and go."""
        self._addresses = addresses
        self._tasks = Tasks()
        self._under_way: dict[int, tuple[str, float]] = {}
        self._numbers: Iterator[int] = itertools.count()
        self._session: aiohttp.ClientSession | None = None
        self.asked: list[Asked] = []
        """Every request that has come to an end, in the order of the ends."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S))
        for pod in self._addresses():
            for path, model in CALLERS:
                self._tasks.spawn(self._call(pod, path, model), f"{pod} {model}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        if self._session is not None:
            await self._session.close()

    @property
    def waiting(self) -> list[tuple[str, float]]:
        """Pod and beginning of every request under way."""
        return list(self._under_way.values())

    async def _call(self, pod: str, path: str, model: str) -> None:
        while True:
            number, began_s = next(self._numbers), now_s()
            self._under_way[number] = (pod, began_s)
            try:
                status, provider, attempts = await self._ask(pod, path, model)
            finally:
                del self._under_way[number]
            self.asked.append(
                Asked(
                    pod=pod,
                    model=model,
                    began_s=began_s,
                    ended_s=now_s(),
                    status=status,
                    provider=provider,
                    attempts=attempts,
                )
            )
            await asyncio.sleep(PACE_S)

    async def _ask(self, pod: str, path: str, model: str) -> tuple[int, str, int]:
        """Return the status (0: no answer came), who answered, and after how many attempts."""
        body = {"model": model, "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]}
        if self._session is None:
            raise RuntimeError("not entered")
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            url = f"http://{self._addresses()[pod]}:{PROXY_PORT}{path}"
            async with self._session.post(url, json=body) as response:
                await response.read()
                head = response.headers
                attempts = int(head.get("x-cliproxy-attempts", "0"))
                return response.status, head.get("x-cliproxy-provider", ""), attempts
        return 0, "", 0
