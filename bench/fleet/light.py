"""A light sidecar: a real one's control side (door, snapshots, machines, reporter, prober), no data plane.

Providers are not asked: every probe passes. What it does when is told to the `Board`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Final

from cliproxy_api import codec
from cliproxy_api.chance import Chance
from cliproxy_api.report import Applied, Hello, Report
from cliproxy_api.snapshot import Provider, SnapshotPush
from cliproxy_api.state import StatePush
from cliproxy_api.version import __version__
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass
from cliproxy_dev.clock import now_s
from cliproxy_sidecar.admin.control import Authenticator, ControlApp
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.runtime.machines import Machines
from cliproxy_sidecar.runtime.prober import Prober
from cliproxy_sidecar.runtime.reporter import Reporter
from cliproxy_sidecar.runtime.snapshots import Snapshots
from cliproxy_sidecar.runtime.tasks import Tasks
from fleet.board import Board

OK: Final = 200
MOST_EPOCHS: Final = 20


def share_decoding() -> None:
    """Decode equal bytes once in this process.

    In a cluster each sidecar decodes on its own core; here hundreds share one, and the operator's figures
    would tell how fast this process decodes.
    """
    for name in ("unpack", "decode_snapshot_push"):
        setattr(codec, name, functools.lru_cache(maxsize=4)(getattr(codec, name)))
    read = functools.lru_cache(maxsize=4)(codec.StateReader().read)
    vars(codec)["StateReader"] = lambda: _SharedReader(read)


class _SharedReader:
    """Reads states for one sidecar of many."""

    def __init__(self, read: Callable[[bytes], StatePush]) -> None:
        self.read = read


class Light:
    """One light sidecar, without its socket."""

    def __init__(
        self,
        *,
        pod: str,
        namespace: str,
        watched: str,
        authenticator: Authenticator,
        tasks: Tasks,
        chance: Chance,
        board: Board,
    ) -> None:
        """`watched` is the provider (id) whose generations are noted."""
        self.pod = pod
        self._namespace = namespace
        self._watched = watched
        self._board = board
        self._gated: frozenset[str] = frozenset()
        self._led = 0
        self.reporter = Reporter(
            standing=self._standing,
            traffic=lambda: self.machines.traffic(),  # noqa: PLW0108 -- made below
            attached=self._attached,
        )
        self.machines = Machines(sidecar=pod, chance=chance, tell=self.reporter.tell)
        self.snapshots: Snapshots[SnapshotPush] = Snapshots(
            prepare=lambda push: push,
            activate=self._activate,
            adopt=self._adopt,
            changed=lambda running: self.reporter.tell([Applied(running=running)]),
            led=self.machines.led_anew,
        )
        self.prober = Prober(self.machines, tasks, chance, _always_well)
        self.app = ControlApp(
            self.snapshots, self.reporter, authenticator, tasks=tasks, refused=lambda _peer: None
        )

    def provider(self, provider_id: str) -> Provider:
        """Return a provider that this sidecar runs."""
        return next(one for one in self.machines.providers if one.id == provider_id)

    def meet_429(self, provider_id: str, retry_after_s: float) -> None:
        """Let an attempt meet a rate limit, as the data plane tells it."""
        provider = self.provider(provider_id)
        target = Target(provider, provider.credentials[0], provider.models[0])
        outcome = Outcome(OutcomeClass.RATE_LIMITED, hint_s=retry_after_s, status=429, reason="429")
        now = now_s()
        permit = self.machines.force(target, now)
        self.machines.settle(permit, outcome, (target.scopes[-1],), now)
        self._look()

    def serve_one(self, provider_id: str, latency_ms: int) -> None:
        """Let an attempt succeed, as the data plane tells it."""
        provider = self.provider(provider_id)
        target = Target(provider, provider.credentials[0], provider.models[0])
        now = now_s()
        self.machines.settle(self.machines.force(target, now), _SERVED, (), now)
        self.machines.windows.of(provider_id).record(now, latency_ms=latency_ms, error=False, tokens=500)

    # ---------------------------------------------------------------- joints
    def _standing(self) -> tuple[Report, ...]:
        newest = self.snapshots.newest_epoch
        for passed in range(max(self._led, newest - MOST_EPOCHS), newest):  # a successor may leave some out
            self._board.note(f"led after {passed}", self.pod)
        self._led = newest
        hello = Hello(
            sidecar=self.pod,
            namespace=self._namespace,
            version=__version__,
            running=self.snapshots.running,
            encodings=(codec.PACKED,),
            keeps_parts=True,
            trying=self.machines.trying(),
        )
        return (hello, *self.machines.standing())

    def _attached(self, attached: bool) -> None:  # noqa: FBT001 -- the one thing it says
        self.machines.attach(attached)
        self.prober.follow()

    def _activate(self, push: SnapshotPush, before: SnapshotPush | None) -> None:  # noqa: ARG002 -- the joint's shape
        self.machines.configure(push.snapshot.providers)
        self.prober.follow()
        self._board.note(f"runs {_generations(push).get(self._watched, 0)}", self.pod)

    def _adopt(self, push: StatePush) -> None:
        self.machines.adopt(push)
        self.prober.follow()
        self._look()

    def _look(self) -> None:
        """Note which providers have begun to cool; those on their way back are none."""
        gated = frozenset(self.machines.cooldowns.gated)
        if gated - self._gated:  # what only this program does has to cost little
            for one in self.machines.active():
                if one.phase is CooldownPhase.COOLING and one.scope.provider not in self._gated:
                    self._board.note(f"refrains {one.scope.provider}", self.pod)
        self._gated = gated


_SERVED: Final = Outcome(OutcomeClass.SUCCESS, status=OK)
_LAST: dict[str, Mapping[str, int]] = {}


def _generations(push: SnapshotPush) -> Mapping[str, int]:
    """Return the generations of a snapshot's objects; reckoned once for the sidecars of this process."""
    digest = push.snapshot.digest
    if digest not in _LAST:
        _LAST.clear()
        _LAST[digest] = {f"{one.namespace}/{one.name}": one.generation for one in push.snapshot.objects}
    return _LAST[digest]


async def _always_well(_provider: Provider) -> int:
    return OK
