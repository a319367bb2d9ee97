"""Who leads: the decisions of a Lease elector; `leader` reads and writes the Lease.

Another holder's lease has expired when its record has not changed for `lease_s` on *our* monotonic clock, so
skewed wall clocks do not matter. A leader counts from before its last accepted write was sent, and stops by
itself at `renew_s` < `lease_s`: two never lead at the same time, also cut off from each other.

    (no lease) ──Acquire──> leading ──Renew──> leading
    other holder, unchanged for lease_s ──Acquire, transitions + 1──> leading
    leading, not renewed for renew_s, or another holder seen ──Demote──> waiting
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations of the election, in seconds; retry_s < renew_s < lease_s."""

    lease_s: float = 5.0
    """How long a silent leader is respected."""
    renew_s: float = 3.5
    """How long a leader that cannot renew goes on."""
    retry_s: float = 0.5
    """Pause between two looks at another's lease."""

    @property
    def renewal_s(self) -> float:
        """Pause between two renewals.

        How soon a successor leads depends on how often it looks and on `lease_s`, not on this: a leader may
        die right after a renewal. So it writes half as often as others look, if that leaves it three tries.
        """
        return min(2 * self.retry_s, self.renew_s / 3)


@dataclass(frozen=True, slots=True)
class Record:
    """What a Lease says."""

    holder: str = ""
    """Empty: released."""
    transitions: int = 0
    """How often the holder changed: the epoch of the pushes."""
    lease_s: float = 0.0
    """What the holder promised to renew within."""
    version: str = ""
    """The Lease's resourceVersion: changes with every write."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A record, and since when it has been like that."""

    record: Record | None
    """None: there is no Lease."""
    since: float
    """Monotonic seconds at which this process first saw the record unchanged."""
    highest: int = 0
    """The highest epoch known: of all records seen, and of what sidecars say they have been pushed."""
    version: int = 0
    """Of the last Lease seen; it outlives the Lease."""


@dataclass(frozen=True, slots=True)
class Leading:
    """That this process leads."""

    epoch: int
    renewed_at: float
    """Monotonic seconds just before the last accepted write was *sent*."""


@dataclass(frozen=True, slots=True)
class Acquire:
    """Write the Lease with us as holder; a conflict means somebody else was faster: look again."""

    transitions: int
    create: bool
    """Whether the Lease does not exist yet."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Write the Lease again, holder and transitions unchanged."""

    transitions: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until` (monotonic); then read the Lease again and decide anew."""

    until: float


@dataclass(frozen=True, slots=True)
class Demote:
    """Stop leading at once; `why` is for the log."""

    why: str


def observe(before: Observed | None, record: Record | None, now: float) -> Observed:
    """Return what is known after a look at the Lease."""
    if before is not None and before.record == record:
        return before
    highest, version = (before.highest, before.version) if before is not None else (0, 0)
    if record is not None:
        highest, version = max(highest, record.transitions), _version(record)
    return Observed(record=record, since=now, highest=highest, version=version)


def went_back(before: Observed | None, record: Record | None) -> bool:
    """Whether the API server's data may be of an earlier time than at the last look.

    A record written before one that was read earlier is one that no write can bring about. One that has gone
    may have been deleted; or the data are from before it was made, or the next look finds an older one.
    """
    if before is None or (before.record is None and record is None):
        return False
    return record is None or 0 < _version(record) < before.version


def _version(record: Record) -> int:
    return int(record.version) if record.version.isdecimal() else 0


def heard_epoch(observed: Observed, epoch: int) -> Observed:
    """Return what is known after a sidecar named the epoch of the last push it took.

    A deleted Lease starts counting anew, and sidecars would refuse everything from then on: the leader then
    takes the lease again under an epoch that they accept.
    """
    return replace(observed, highest=max(observed.highest, epoch))


def leads(leading: Leading | None, timing: Timing, now: float) -> bool:
    """Whether this process may act as leader at this instant; every write and push asks."""
    return leading is not None and now < leading.renewed_at + timing.renew_s


def decide(
    observed: Observed, leading: Leading | None, *, me: str, timing: Timing, now: float
) -> Acquire | Renew | Wait | Demote:
    """Return the next step of the elector.

    `me` is this pod's name. A record that names us while we do not lead is an earlier life of ours (the
    container was restarted in its pod): it is taken over at once, under a new epoch, since what it pushed is
    not known.
    """
    record = observed.record
    if leading is not None:
        return _as_leader(observed, leading, me=me, timing=timing, now=now)
    if record is None:
        return Acquire(transitions=observed.highest + 1, create=True)
    if record.holder in {"", me}:
        return Acquire(transitions=observed.highest + 1, create=False)
    # The holder's own promise counts; a record without one (damaged) gets ours.
    expires = observed.since + (record.lease_s if record.lease_s > 0 else timing.lease_s)
    if now >= expires:
        return Acquire(transitions=observed.highest + 1, create=False)
    return Wait(until=min(expires, now + timing.retry_s))


def acquired(step: Acquire | Renew, *, sent_at: float) -> Leading:
    """Return what we are after the step's write was accepted; `sent_at` is from before it was sent."""
    return Leading(epoch=step.transitions, renewed_at=sent_at)


def released(record: Record) -> Record:
    """Return the record to write on a clean exit, so that another need not wait."""
    return replace(record, holder="")


def _as_leader(
    observed: Observed, leading: Leading, *, me: str, timing: Timing, now: float
) -> Acquire | Renew | Wait | Demote:
    record = observed.record
    if not leads(leading, timing, now):
        return Demote(f"the lease was not renewed for {timing.renew_s:g} s")
    if record is None:
        return Demote("the lease was deleted")
    if record.holder != me or record.transitions != leading.epoch:
        return Demote(f"the lease is held by {record.holder or 'nobody'}")
    if observed.highest > leading.epoch:
        return Acquire(transitions=observed.highest + 1, create=False)
    due = leading.renewed_at + timing.renewal_s
    return Renew(transitions=leading.epoch) if now >= due else Wait(until=due)
