"""Which faults there are, how often each is played, and in what world."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from cliproxy_dev.faults import (
    apiserver,
    behind,
    crashing,
    hooks,
    killing,
    objects,
    paging,
    replicas,
    sidecars,
)
from cliproxy_dev.faults.field import Field, Setting
from cliproxy_dev.faults.run import Run
from cliproxy_dev.faults.steps import Step


@asynccontextmanager
async def _nothing(_: Field) -> AsyncIterator[None]:
    yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One fault."""

    name: str
    """For the command line."""
    title: str
    """For the table."""
    play: Callable[[Field, Run, int], Awaitable[None]]
    """Does it once, and mends it; the number of the run is from 0."""
    runs: int
    setting: Setting = field(default_factory=Setting)
    around: Callable[[Field], AbstractAsyncContextManager[None]] = _nothing
    """Around all runs."""
    cuts: bool = False
    """Whether it needs a network of its own."""


PLANS: Final = (
    Plan(
        name="killed",
        title="operator kill -9 at every step of a cooldown",
        play=killing.kill_operator,
        runs=3 * len(Step),
        around=behind.valves,
    ),
    Plan(
        name="takeover",
        title="leader kill -9 at every step of a cooldown, a standby goes on",
        play=killing.kill_leader,
        runs=2 * len(Step),
        around=behind.valves_and_standby,
    ),
    Plan(
        name="crashed",
        title="sidecar kill -9 at every step of a cooldown",
        play=crashing.kill_sidecar,
        runs=2 * len(Step),
        around=behind.valves,
    ),
    Plan(
        name="paging",
        title="operator kill -9 at every step of an alert",
        play=paging.kill_pager,
        runs=3 * len(paging.Step),
        around=paging.labelled,
    ),
    Plan(name="away", title="API server away for 60 s", play=apiserver.away, runs=2),
    Plan(
        name="forward",
        title="API server away for 60 s, data moved on and compacted",
        play=apiserver.forward,
        runs=2,
    ),
    Plan(name="restored", title="etcd restored to an older backup", play=apiserver.restored, runs=4),
    Plan(
        name="cut",
        title="network cut for 40 s between operator and half the sidecars",
        play=sidecars.cut_half,
        runs=4,
        cuts=True,
    ),
    Plan(
        name="skew",
        title="clocks of two sidecars 5 min ahead and behind",
        play=sidecars.skewed_clocks,
        runs=6,
        setting=Setting(clocks_s=sidecars.CLOCKS_S),
    ),
    Plan(name="paused", title="a sidecar stopped (SIGSTOP) for 15 s", play=sidecars.pause_sidecar, runs=4),
    Plan(name="rotated", title="a provider's key rotated", play=objects.rotate_secret, runs=10),
    Plan(name="anew", title="an object deleted and made again", play=objects.make_anew, runs=10),
    Plan(name="leaders", title="two leaders: the stopped one wakes up", play=replicas.two_leaders, runs=6),
    Plan(name="invalid", title="1,000 random invalid objects", play=objects.invalid_objects, runs=1),
    Plan(
        name="refused",
        title="1,000 random invalid objects, webhook on",
        play=objects.invalid_objects,
        runs=1,
        setting=Setting(environment=hooks.ENVIRONMENT),
        around=hooks.configured,
    ),
)
