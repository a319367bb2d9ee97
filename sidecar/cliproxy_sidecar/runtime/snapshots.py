"""Holds what runs: takes a push whole or not at all, and keeps the last good one.

A push is decoded, checked and prepared before anything changes; the swap is one assignment, so it falls
between two requests, and a request in flight finishes on what it began with. What "prepared" means is the
data path's business (`prepare`), what the machines make of it is `activate`'s.
"""

import logging
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Generic, TypeVar

import msgspec

from cliproxy_api import codec
from cliproxy_api.snapshot import Position, Running, SnapshotPush
from cliproxy_api.state import PartsPush, StatePush

log = logging.getLogger(__name__)

P = TypeVar("P")


class Verdict(IntEnum):
    """What became of a push; the value is the HTTP status that says so."""

    TAKEN = 200
    OLDER = 409
    BROKEN = 422


class Snapshots(Generic[P]):
    """The running configuration and how it got here.

    `prepare` raises ValueError for a snapshot that cannot run. `activate` gets the new configuration and the
    one before. `adopt` gets each fleet state and `adopted` its bytes, `keep` our parts of shared limits.
    `changed` hears of a new configuration and of every refusal, `taken` gets the bytes of each
    new configuration that runs, `led` hears of each leader of a newer epoch.
    """

    def __init__(
        self,
        *,
        prepare: Callable[[SnapshotPush], P],
        activate: Callable[[P, P | None], None],
        adopt: Callable[[StatePush], None],
        adopted: Callable[[bytes], None] = lambda _: None,
        changed: Callable[[Running], None],
        keep: Callable[[PartsPush], None] = lambda _: None,
        taken: Callable[[bytes], None] = lambda _: None,
        led: Callable[[], None] = lambda: None,
    ) -> None:
        self._prepare = prepare
        self._activate = activate
        self._adopt = adopt
        self._adopted = adopted
        self._changed = changed
        self._keep = keep
        self._taken = taken
        self._led = led
        self._states = codec.StateReader()
        self.running = Running()
        self.current: P | None = None
        self.newest_epoch = 0

    def offer_snapshot(self, body: bytes) -> Verdict:
        """Run the pushed snapshot, or refuse it and say why in `running.error`."""
        try:
            push = codec.decode_snapshot_push(body)
        except codec.DecodeError as error:
            return self._refuse(Verdict.BROKEN, f"snapshot: {error}")
        if self._is_older(push.position, self.running.snapshot):
            return self._refuse(Verdict.OLDER, _older("snapshot", push.position, self.running.snapshot))
        if push.snapshot.digest == self.running.digest and self.current is not None:
            return self._take(msgspec.structs.replace(self.running, snapshot=push.position, error=None))
        try:
            prepared = self._prepare(push)
        except ValueError as error:
            return self._refuse(Verdict.BROKEN, f"snapshot: {error}")
        before, self.current = self.current, prepared
        self._activate(prepared, before)
        self._taken(body)
        runs = {"digest": push.snapshot.digest, "snapshot": push.position, "error": None}
        return self._take(msgspec.structs.replace(self.running, **runs))

    def offer_state(self, body: bytes) -> Verdict:
        """Adopt the pushed fleet state, or refuse it and say why in `running.error`."""
        try:
            push = self._states.read(body)
        except codec.DecodeError as error:
            return self._refuse(Verdict.BROKEN, f"state: {error}")
        if self._is_older(push.position, self.running.state):
            return self._refuse(Verdict.OLDER, _older("state", push.position, self.running.state))
        self._adopt(push)
        self._adopted(body)
        return self._take(msgspec.structs.replace(self.running, state=push.position, error=None))

    def offer_parts(self, body: bytes) -> Verdict:
        """Keep to the pushed parts of shared limits, or refuse them and say why in `running.error`."""
        try:
            push = codec.decode_parts_push(body)
        except codec.DecodeError as error:
            return self._refuse(Verdict.BROKEN, f"parts: {error}")
        if self._is_older(push.position, self.running.parts):
            return self._refuse(Verdict.OLDER, _older("parts", push.position, self.running.parts))
        self._keep(push)
        return self._take(msgspec.structs.replace(self.running, parts=push.position, error=None))

    def boot(self, kept: Iterable[tuple[str, bytes]]) -> str | None:
        """Run the newest of some kept pushes that can be run; returns its name, None if none can.

        Its position holds: a leader that was deposed before this process began stays so.
        """
        pushes: list[tuple[Position, str, bytes]] = []
        for name, body in kept:
            try:
                pushes.append((codec.decode_snapshot_push(body).position, name, body))
            except codec.DecodeError as error:
                log.warning("%s cannot be used: %s", name, error)
        for _, name, body in sorted(pushes, reverse=True):
            epoch, self.newest_epoch = self.newest_epoch, 0
            if self.offer_snapshot(body) is Verdict.TAKEN:
                return name
            self.newest_epoch = epoch
            log.warning("%s cannot be run: %s", name, self.running.error)
        return None

    def lead(self, epoch: int) -> bool:
        """Note that a leader of this epoch speaks; False if a later one has spoken before."""
        if epoch < self.newest_epoch:
            return False
        if epoch > self.newest_epoch:
            self.newest_epoch = epoch
            self._led()
        return True

    def _is_older(self, pushed: Position, running: Position) -> bool:
        return not self.lead(pushed.epoch) or pushed < running

    def _take(self, running: Running) -> Verdict:
        self._set(running)
        return Verdict.TAKEN

    def _refuse(self, verdict: Verdict, error: str) -> Verdict:
        log.warning("push refused: %s", error)
        self._set(msgspec.structs.replace(self.running, error=error[:500]))
        return verdict

    def _set(self, running: Running) -> None:
        before, self.running = self.running, running
        # These positions are told in the answers to their pushes; saying it again would double the traffic.
        if msgspec.structs.replace(running, state=before.state, parts=before.parts) != before:
            self._changed(running)


def _older(what: str, pushed: Position, running: Position) -> str:
    return (
        f"{what}: position {pushed.epoch}.{pushed.sequence} is older than {running.epoch}.{running.sequence}"
        " or its leader is deposed"
    )
