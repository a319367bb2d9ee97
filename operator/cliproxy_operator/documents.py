"""What is pushed, ready to send: content, its place in the order, its encoding.

Equal content is one document however many links send it; a snapshot is encoded once, a state once for a
moment. Which document is whose is left to `publish.py`.
"""

from collections.abc import Mapping
from typing import Final

from cliproxy_api import codec
from cliproxy_api.snapshot import Position, Snapshot, SnapshotPush
from cliproxy_api.state import FleetState, PartsPush, StatePush
from cliproxy_operator.clock import Clock
from cliproxy_operator.hidden import Hidden

STATE_FRESH_S: Final = 0.05
"""An encoded state is sent again within this time; its `sent_at_utc` is off by that much at most."""
PACK_FROM_BYTES: Final = 2048
"""A smaller document fits into two packets as it is."""
MAX_SEQUENCE: Final = 2**53
"""A later one is no sequence of ours, whoever claims it."""


class Sequencer:
    """Positions of one leadership, growing."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._last = 0
        self._floor = 0

    def next(self) -> Position:
        """Return the next position."""
        self._last += 1
        return Position(self.epoch, self._last)

    def stale(self, position: Position) -> bool:
        """Whether a sidecar is known to be at this position or later, though not by its content."""
        return position.sequence <= self._floor

    def pass_by(self, seen: Position) -> None:
        """Continue after a position that a sidecar claims to have."""
        if seen.epoch == self.epoch and seen.sequence <= MAX_SEQUENCE:
            self._floor = max(self._floor, seen.sequence)
            self._last = max(self._last, self._floor)


class Body:
    """A document as bytes, packed at most once however many it is sent to."""

    __slots__ = ("_packed", "content")

    def __init__(self, content: bytes) -> None:
        self.content: Final = content
        self._packed: bytes | None = None

    def packed(self) -> bytes | None:
        """Return it as `codec.pack` makes it; None: it is too small for that."""
        if self._packed is None and len(self.content) >= PACK_FROM_BYTES:
            self._packed = codec.pack(self.content)
        return self._packed


class SnapshotDocument:
    """A snapshot with its credential values; its repr shows neither."""

    def __init__(self, snapshot: Snapshot, secrets: Mapping[str, Hidden], sequencer: Sequencer) -> None:
        self.digest = snapshot.digest
        self._snapshot = snapshot
        self._secrets = secrets
        self._sequencer = sequencer
        self._position = sequencer.next()
        self._body: Body | None = None

    def render(self) -> tuple[Position, Body]:
        """Return the position and the encoded push, encoded at the first call."""
        if self._sequencer.stale(self._position):
            self._position, self._body = self._sequencer.next(), None
        if self._body is None:
            secrets = {name: value.reveal() for name, value in self._secrets.items()}
            push = SnapshotPush(position=self._position, snapshot=self._snapshot, secrets=secrets)
            self._body = Body(codec.encode(push))
        return self._position, self._body

    def __repr__(self) -> str:
        return f"SnapshotDocument({self.digest})"


class StateDocument:
    """A fleet state; encoded anew when it is sent later, since its instants are read relative to then."""

    digest = ""

    def __init__(self, state: FleetState, sequencer: Sequencer, clock: Clock) -> None:
        self.state = state
        self._sequencer = sequencer
        self._clock = clock
        self._encoded: tuple[float, Position, Body] | None = None

    def render(self) -> tuple[Position, Body]:
        """Return the position and the encoded push of now."""
        now = self._clock.now()
        if self._encoded is not None:
            at_s, position, body = self._encoded
            if now - at_s <= STATE_FRESH_S and not self._sequencer.stale(position):
                return position, body
        position = self._sequencer.next()
        push = StatePush(position=position, sent_at_utc=self._clock.utc(), state=self.state)
        self._encoded = (now, position, Body(codec.encode(push)))
        return position, self._encoded[2]


class PartsDocument:
    """What one sidecar may take of shared limits."""

    digest = ""

    def __init__(
        self, providers: Mapping[str, int], consumers: Mapping[str, int], sequencer: Sequencer
    ) -> None:
        self.providers = dict(providers)
        self.consumers = dict(consumers)
        self._sequencer = sequencer
        self._position = sequencer.next()

    def render(self) -> tuple[Position, Body]:
        """Return the position and the encoded push."""
        if self._sequencer.stale(self._position):
            self._position = self._sequencer.next()
        push = PartsPush(position=self._position, providers=self.providers, consumers=self.consumers)
        return self._position, Body(codec.encode(push))
