"""Who has which part of which shared limit: hears what sidecars take, and has limits divided anew.

A limit is looked at when a report says something new about it, while somebody waits for more, and now and
then besides. A sidecar that has not been heard yet is told nothing, and keeps what it has; nobody is given
more before all have been heard. How a limit is divided is `division.py`'s.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cliproxy_api.report import Taken
from cliproxy_api.state import WHOLE
from cliproxy_operator.money.division import Member, divide
from cliproxy_operator.money.totals import Group, Owner
from cliproxy_operator.view import SidecarId

SILENT_S: Final = 120.0
"""Who has used nothing for so long goes back to the floor."""
DRAIN_S: Final = 62.0
"""What a pod that is gone took in its last minute counts so long, and what it took since its last report."""
WAIT_S: Final = 1.0
"""Between two looks while somebody waits for what others have to give up first."""
LOOK_S: Final = 5.0
"""Between two looks at a limit of which nothing new is heard: the fleet may have grown."""
UNHEARD_S: Final = 15.0
"""So long after its beginning a leader waits for those it has not heard."""
MAX_MEMBERS: Final = 5000
"""Looked at in one round, some ten milliseconds; the limits that wait longest come first."""
MAX_OWNERS: Final = 2000
"""Limits of one sidecar; more is no sidecar of ours."""


@dataclass(slots=True)
class _Limit:
    """One limit and those who take of it."""

    members: dict[SidecarId, Member] = field(default_factory=dict)
    ghosts: list[tuple[float, int]] = field(default_factory=list)
    """Until when what a pod that is gone took counts, and how much that was."""
    look_at: float = 0.0


class Shares:
    """All shared limits of one leadership, which began at `began`. `now` is monotonic seconds."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._limits: dict[Owner, _Limit] = {}
        self._heard: dict[SidecarId, set[Owner]] = {}
        """Whom we have heard, and of which limits each is a member."""
        self._groups: dict[SidecarId, Group] = {}
        """Of those whom we have heard."""
        self._older: set[SidecarId] = set()
        self.floors: dict[Owner, int] = {}
        """What sidecars are to be told of each limit that more than one shares."""

    @property
    def by_demand(self) -> bool:
        """Whether all sidecars keep parts: one of an older version takes an equal share, then all do."""
        return not self._older

    # ------------------------------------------------------------------ hearing
    def configure(self, owners: Iterable[Owner]) -> None:
        """Take the limits there are."""
        wanted = set(owners)
        for owner in self._limits.keys() - wanted:
            for sidecar in self._limits.pop(owner).members:
                self._heard.get(sidecar, set()).discard(owner)
            self.floors.pop(owner, None)
        for owner in wanted - self._limits.keys():
            self._limits[owner] = _Limit()

    def greet(self, sidecar: SidecarId, *, keeps_parts: bool) -> None:
        """A sidecar is linked."""
        if keeps_parts:
            self._older.discard(sidecar)
        else:
            self._older.add(sidecar)
        for limit in self._limits.values():
            limit.look_at = 0.0

    def hear(self, sidecar: SidecarId, group: Group, taken: Mapping[Owner, Taken], now: float) -> bool:
        """Take a sidecar's word on all limits it takes of; return whether it needs more than before."""
        known = self._heard.setdefault(sidecar, set())
        self._groups[sidecar] = group
        waits = False
        for owner, told in taken.items():
            limit = self._limits.get(owner)
            if limit is None or (owner not in known and len(known) >= MAX_OWNERS):
                continue
            known.add(owner)
            member = limit.members.get(sidecar)
            if member is None:
                member = limit.members[sidecar] = Member(at=now)
                limit.look_at = now
            used, held = _bounded(told.used), _bounded(told.part)
            if told.pressed != member.pressed or held != member.held:
                limit.look_at = now
            waits = waits or (told.pressed and not member.pressed)
            member.hear(used, held, now, pressed=told.pressed)
        for owner in known - taken.keys():
            self._rests(sidecar, owner, now)
        return waits

    def _rests(self, sidecar: SidecarId, owner: Owner, now: float) -> None:
        """It said nothing of a limit: it takes nothing and is at the floor, whatever it is being told."""
        member = self._limits[owner].members[sidecar]
        member.hear(0, 0, now, pressed=False)
        if member.told is None:
            del self._limits[owner].members[sidecar]
            self._heard[sidecar].discard(owner)

    def gone(self, sidecar: SidecarId, now: float) -> None:
        """A pod is gone; what it took in its last minute still counts."""
        self._older.discard(sidecar)
        self._groups.pop(sidecar, None)
        for owner in self._heard.pop(sidecar, ()):
            limit = self._limits[owner]
            member = limit.members.pop(sidecar)
            if member.used:
                limit.ghosts.append((now + DRAIN_S, member.used))
            limit.look_at = now

    # ------------------------------------------------------------------ dividing
    def divide(self, sidecars: Callable[[Owner], int], now: float) -> set[SidecarId]:
        """Divide what is due to be divided; return who has to be told something new.

        `sidecars` says how many there are that could take of a limit.
        """
        changed: set[SidecarId] = set()
        due = [one for one in self._limits.items() if one[1].look_at <= now]
        due.sort(key=lambda one: one[1].look_at)
        looked_at = 0
        for owner, limit in due:
            changed |= self._divide(owner, limit, sidecars(owner), now)
            looked_at += len(limit.members)
            if looked_at >= MAX_MEMBERS:
                break
        return changed

    def _divide(self, owner: Owner, limit: _Limit, sidecars: int, now: float) -> set[SidecarId]:
        before = {sidecar: member.told for sidecar, member in limit.members.items()}
        limit.ghosts = [ghost for ghost in limit.ghosts if ghost[0] > now]
        sidecars = max(sidecars, len(limit.members), 2 if limit.ghosts else 1)
        limit.look_at = now + LOOK_S
        if sidecars <= 1 or not self.by_demand:
            self.floors.pop(owner, None)
            for member in limit.members.values():
                member.told = None
        else:
            for member in limit.members.values():
                if member.silent_since is not None and now - member.silent_since >= SILENT_S:
                    member.told = None
            ghosts = sum(used for _, used in limit.ghosts)
            self.floors[owner], waits = divide(
                limit.members.values(), sidecars, ghosts, grow=self._grow(owner, sidecars, now)
            )
            if waits:
                limit.look_at = now + WAIT_S
        floor = self.floors.get(owner, WHOLE)
        return {
            sidecar
            for sidecar, member in limit.members.items()
            # Who keeps to a part that an earlier leader gave has to be told that it is none any more.
            if member.told != before[sidecar] or (member.told is None and member.held > floor)
        }

    def _grow(self, owner: Owner, sidecars: int, now: float) -> bool:
        if now - self._began >= UNHEARD_S:
            return True
        kind, name = owner
        heard = sum(
            name in group.providers
            if kind == "provider"
            else name.startswith(f"{sidecar.namespace}/{group.profile}/")
            for sidecar, group in self._groups.items()
        )
        return heard >= sidecars

    def parts(self, sidecar: SidecarId) -> dict[Owner, int] | None:
        """Return what a sidecar is to be told; None: nothing, it has not been heard."""
        known = self._heard.get(sidecar)
        if known is None:
            return None
        told = ((owner, self._limits[owner].members[sidecar].told) for owner in known)
        return {owner: part for owner, part in told if part is not None}


def _bounded(millionths: int) -> int:
    return min(max(millionths, 0), WHOLE)
