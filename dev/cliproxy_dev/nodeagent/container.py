"""One container as a process: started, watched, probed, started again.

When to start and stop the whole pod, and what the API server hears of it, is left to `pod`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp

from cliproxy_dev.clock import now_s, rfc3339, utc_now
from cliproxy_dev.kube import Json
from cliproxy_dev.nodeagent.backoff import FIRST_DELAY_S, Backoff
from cliproxy_dev.nodeagent.environment import Unresolvable
from cliproxy_dev.nodeagent.probe import Probe
from cliproxy_dev.nodeagent.status import ContainerView, Ended, Running, State, Waiting
from cliproxy_dev.process import ManagedProcess

CONFIG_RETRY_S = 1.0  # a Secret that is missing may appear
EAGER_PERIOD_S = 0.1  # until the first success; kubelet too asks at once, a demo should not wait a period
SIGNAL_BASE = 128  # exit codes of processes that a signal ended, as containers report them

# Returns the command line and the environment; raises Unresolvable.
Recipe = Callable[[], Awaitable[tuple[list[str], Mapping[str, str]]]]


class Container:
    """Runs one container until cancelled; `changed` is called after every change of `view`."""

    def __init__(
        self,
        spec: Json,
        *,
        recipe: Recipe | None,
        probe: Probe | None,
        restart_policy: str,
        restarts: int,
        log_path: Path,
        session: aiohttp.ClientSession,
        changed: Callable[[], None],
        helper: bool = False,
        once: bool = False,
    ) -> None:
        """`recipe` None plays the container without a process; `restarts` is the count so far.

        `helper`: it stands among the init containers; `once`: it is one that others wait for.
        """
        self.name: str = spec["name"]
        self._image: str = spec["image"]
        self._recipe = recipe
        self._probe = probe
        self._restart_policy = restart_policy
        self._restarts = restarts
        self._log_path = log_path
        self._session = session
        self._changed = changed
        self._helper = helper
        self._once = once
        self._state: State = Waiting("ContainerCreating")
        self._last: Ended | None = None
        self._ready = False
        self._finished = False
        self._process: ManagedProcess | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def succeeded(self) -> bool:
        """Whether it ended well and is not to run again."""
        return self._finished and isinstance(self._state, Ended) and self._state.exit_code == 0

    @property
    def view(self) -> ContainerView:
        """What a status says of it."""
        return ContainerView(
            name=self.name,
            image=self._image,
            state=self._state,
            last=self._last,
            ready=self._ready,
            restarts=self._restarts,
            finished=self._finished,
            helper=self._helper,
            once=self._once,
        )

    async def run(self) -> None:
        """Keep the container running as its restart policy says; returns when it is not to run again."""
        if self._recipe is None:
            self._finished, began_utc = self._once, rfc3339(utc_now())
            played = Ended(0, began_utc, began_utc) if self._once else Running(began_utc, None)
            self._become(played, ready=True)
            return
        backoff = Backoff()
        while True:
            process = await self._start(self._recipe)
            began_s, began_utc = now_s(), rfc3339(utc_now())
            self._become(Running(began_utc, process.pid), ready=self._probe is None)
            code = await self._until_it_ends(process)
            ended = Ended(code if code >= 0 else SIGNAL_BASE - code, began_utc, rfc3339(utc_now()))
            if self._restart_policy == "Never" or (self._restart_policy == "OnFailure" and code == 0):
                self._finished = True
                self._become(ended, ready=self._once and code == 0)
                return
            self._last = ended
            await self._wait_before_restart(ended, backoff.after_end(now_s() - began_s))
            self._restarts += 1

    async def stop(self, grace_s: float) -> None:
        """End the process; call after `run` was cancelled."""
        if self._process is not None and (code := await self._process.stop(grace_s=grace_s)) is not None:
            since = self._state.since_utc if isinstance(self._state, Running) else rfc3339(utc_now())
            ended = Ended(code if code >= 0 else SIGNAL_BASE - code, since, rfc3339(utc_now()))
            self._finished = True
            self._become(ended, ready=False)

    def _become(self, state: State, *, ready: bool) -> None:
        self._state, self._ready = state, ready
        self._changed()

    async def _start(self, recipe: Recipe) -> ManagedProcess:
        while True:
            try:
                command, env = await recipe()
                process = ManagedProcess(self.name, command, log_path=self._log_path, env=env)
                process.start()
            except (Unresolvable, OSError) as error:
                wanted = Waiting("CreateContainerConfigError", str(error))
                if self._state != wanted:
                    self._become(wanted, ready=False)
                await asyncio.sleep(CONFIG_RETRY_S)
            else:
                self._process = process
                return process

    async def _until_it_ends(self, process: ManagedProcess) -> int:
        if self._probe is None:
            return await process.wait()
        probing = asyncio.ensure_future(self._keep_asking(self._probe))
        try:
            return await process.wait()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)

    async def _keep_asking(self, probe: Probe) -> None:
        """Set readiness from the probe for as long as the process lives."""
        await asyncio.sleep(probe.initial_delay_s)
        failures, succeeded_once = 0, False
        while True:
            if await probe.succeeds(self._session):
                failures, succeeded_once = 0, True
                self._set_ready(ready=True)
            else:
                failures += 1
                if failures > probe.failures_allowed:
                    self._set_ready(ready=False)
            await asyncio.sleep(probe.period_s if succeeded_once else min(probe.period_s, EAGER_PERIOD_S))

    def _set_ready(self, *, ready: bool) -> None:
        if ready != self._ready:
            self._become(self._state, ready=ready)

    async def _wait_before_restart(self, ended: Ended, delay_s: float) -> None:
        if delay_s > FIRST_DELAY_S:
            words = f"back-off {delay_s:g}s restarting failed container={self.name}"
            self._become(Waiting("CrashLoopBackOff", words), ready=False)
        else:
            self._become(ended, ready=False)
        await asyncio.sleep(delay_s)
