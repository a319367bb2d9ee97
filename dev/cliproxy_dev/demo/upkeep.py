"""Says so when a part of the demonstration ends while it stays up, and starts it again as a kubelet would.

Nobody looks at the parts' logs otherwise: without it a killed operator looks like one that has nothing to do.
The sidecars are the node agent's, which shows their restarts in the pods' status.
"""

import asyncio
import signal
from collections.abc import Iterable

from cliproxy_dev.clock import now_s
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.nodeagent.backoff import Backoff
from cliproxy_dev.process import ManagedProcess, ProcessFailed


async def keep_up(parts: Iterable[ManagedProcess], tell: Narrator) -> None:
    """Watch over running parts until cancelled."""
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(_keep_up(part, tell))


async def _keep_up(part: ManagedProcess, tell: Narrator) -> None:
    backoff = Backoff()
    while True:
        began_s = now_s()
        code = await part.wait()
        delay_s = backoff.after_end(now_s() - began_s)
        tell.failed(f"{part.name} {how_it_ended(code)}; started again in {delay_s:g} s, log: {part.log_path}")
        await asyncio.sleep(delay_s)
        await _start_again(part, tell, backoff)


async def _start_again(part: ManagedProcess, tell: Narrator, backoff: Backoff) -> None:
    """Start a part, however often the machine refuses (no memory, no file handles, its folder gone)."""
    while True:
        try:
            part.start()
        except (OSError, ProcessFailed) as error:
            delay_s = backoff.after_end(0)
            tell.failed(f"{part.name} cannot be started again: {error}; tried again in {delay_s:g} s")
            await asyncio.sleep(delay_s)
        else:
            return


def how_it_ended(code: int) -> str:
    """Say what an exit code means, such as "was ended by SIGKILL"."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
