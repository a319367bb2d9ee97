"""Divides one limit among the sidecars that use it, by what they take: nobody's window is given away twice.

Max-min fair: who takes less than an equal part keeps what it takes and some room, the others share the rest
equally. Whoever loses is told first; what it gives up is given on when it has said that it keeps to less and
its last minute has drained, so the sum holds in every window. Whose limit it is, who asks when, and who is
told, is left to `parts.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cliproxy_api.state import WHOLE

RESERVE: Final = 0.1
"""Of each limit, for those that do not use it: divided among all sidecars, so that each can begin at once."""
GROWTH: Final = 1.25
"""Floors are for a fleet of the next such size: another pod is seldom a reason to tell all others."""
ROOM: Final = 1.5
"""What a sidecar that is not pressed keeps when others need more: so much of its last minutes' fullest."""
HUNGER: Final = 0.1
"""Less missing than this part of its due is no reason to tell anybody."""
FEW: Final = 10
"""Among more than so many the reserve is kept back from those that use the limit too, for the next one that
begins: else each of those would be a reason to tell all."""
CRUMB: Final = 0.05
"""Nothing smaller is given, even if nobody else has to be told."""
LAVISH: Final = 0.2
"""So much that nobody has is given out although nobody asks."""
PEAK_S: Final = 30.0
"""What a sidecar took before its last minute fades so fast: a burst each minute keeps its room."""


@dataclass(slots=True)
class Member:
    """One sidecar's part of one limit, in millionths of the limit."""

    told: int | None = None
    """None: it is at the floor."""
    held: int = 0
    """What it said it keeps to."""
    used: int = 0
    peak: float = 0.0
    at: float = 0.0
    """When `peak` was reckoned."""
    pressed: bool = False
    silent_since: float | None = None
    """Since when it uses nothing."""

    def hear(self, used: int, held: int, now: float, *, pressed: bool) -> None:
        """Take its word."""
        faded = self.peak * (1 - min((now - self.at) / PEAK_S, 1.0))
        self.used, self.held, self.pressed = used, held, pressed
        self.peak, self.at = max(float(used), faded), now
        if used or pressed:
            self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = now

    @property
    def bound(self) -> int:
        """What it may have taken, or may take before it hears otherwise."""
        return max(self.told or 0, self.held, self.used)

    def uses(self, floor: int) -> bool:
        """Whether it needs more than the floor."""
        return self.told is not None or self.pressed or self.used * 2 > floor

    def due(self, floor: int, equal: int) -> int:
        """Return what it should have if there is enough; `equal` is what each would have if all had the same.

        Nobody knows how much more a sidecar needs that is pressed. It gets twice as much, half an equal
        part if it has none yet, and may ask again: taken at its word, it would take from the others what
        it does not use, and they from it, and so on.
        """
        wanted = max(int(self.peak * ROOM), 2 * floor)
        if self.pressed:
            return min(max(equal // 2 if self.told is None else 2 * self.told, wanted), WHOLE)
        return wanted if self.told is None else min(self.told, wanted)


def floor_of(sidecars: int) -> int:
    """Return what each of so many sidecars may take without asking; all of it if there is only one."""
    return WHOLE if sidecars <= 1 else max(int(WHOLE * RESERVE) // roomy(sidecars), 1)


def roomy(sidecars: int) -> int:
    """Return the size of a fleet that so many are counted as: at least so many, in steps."""
    size = 1
    while size < sidecars:
        size = max(size + 1, int(size * GROWTH))
    return size


def level(dues: Sequence[int], room: int) -> list[int]:
    """Return each one's max-min fair part of the room; what is left when all have their due, equally."""
    given = [0] * len(dues)
    left, heads = max(room, 0), len(dues)
    for at in sorted(range(len(dues)), key=dues.__getitem__):
        given[at] = min(dues[at], left // heads)
        left -= given[at]
        heads -= 1
    extra = left // len(dues) if dues else 0
    return [part + extra for part in given]


def divide(members: Iterable[Member], sidecars: int, ghosts: int, *, grow: bool) -> tuple[int, bool]:
    """Tell members anew where it is worth it, in place.

    `sidecars` is the size of the fleet, `ghosts` what pods that are gone may have taken in the last minute;
    `grow` says whether anybody may be given more, as long as not all have been heard. Returns the floor, and
    whether somebody waits for what others have not given up yet.
    """
    members = list(members)
    floor = floor_of(sidecars)
    using = [one for one in members if one.uses(floor)]
    if not using:
        return floor, False
    resting = sum(max(one.bound - floor, 0) for one in members if not one.uses(floor))
    room = WHOLE - floor * max(roomy(sidecars) - len(using), 0)
    spare = room - resting - ghosts - sum(one.bound for one in using)
    ours = room if len(using) <= FEW else min(room, int(WHOLE * (1 - RESERVE)))
    due = list(zip(using, level([one.due(floor, ours // len(using)) for one in using], ours), strict=True))
    over = sum(one.told or 0 for one in using) > room
    if over or any(_short(one, part) and part - one.bound > spare for one, part in due):
        for one, part in due:
            if one.told is not None and one.told > part:
                one.told = max(part, 1)
    least = CRUMB if sum(max(part - one.bound, 0) for one, part in due if one.pressed) <= spare else HUNGER
    hungry = [(one, part) for one, part in due if one.told is None or _short(one, part, least)]
    idle = spare - (room - ours)
    if not hungry and idle > room * LAVISH:
        hungry = [(one, one.bound + idle // len(using)) for one in using]
    _give(hungry, spare if grow else 0)
    return floor, any(_short(one, part) for one, part in due)


def _give(hungry: Sequence[tuple[Member, int]], spare: int) -> None:
    """Give the hungry what is spare, each the same share of what it lacks; a crumb is not worth telling."""
    missing = sum(max(part - one.bound, 0) for one, part in hungry)
    for one, part in hungry:
        wanted = max(part - one.bound, 0)
        granted = wanted if missing <= spare else max(spare, 0) * wanted // max(missing, 1)
        new = min(part, one.bound + granted)
        if new >= part or new - (one.told or 0) >= HUNGER * part:
            one.told = max(new, 1)


def _short(one: Member, part: int, least: float = HUNGER) -> bool:
    """Whether a member asks for more than it has, and should have it."""
    return one.pressed and part - (one.told or 0) > least * part
