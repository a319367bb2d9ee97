"""One run of a fault: notes what it does to the world, then looks whether the world is whole, then judges.

Every fault ends here, so all are held to the same invariants (`checks`).
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from cliproxy_dev.clock import now_s, utc_now
from cliproxy_dev.faults import checks
from cliproxy_dev.faults.checks import Agreement, Asked, Cooldown, Seen, Verdict
from cliproxy_dev.faults.field import Field, Met, NotSeen, until

TOLD_S: Final = 1.0
"""After this long everybody who is linked knows of a refusal; issue and bench ask for a quarter of it."""
KNOWN_S: Final = 10.0
"""Until status says so too; others of the machine's tenants may be busy."""
BACK_S: Final = 30.0
"""The way back after a cooldown's end: a trial, two ramp steps of a second, and time for a busy machine."""
CURRENT_S: Final = 20.0
"""Until the objects are in force after a fault is over."""
LONGEST_S: Final = 30.0
"""No request takes longer once a fault is over."""


class Run:
    """One run; `cooled` for each refusal met, `agree` while it lasts."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.seen = Seen()
        self.began_s = now_s()
        self._mark = len(field.load.asked)
        self._down: list[tuple[str, float, float]] = []
        """Pods whose sidecar did not run, and from when until when."""
        self._writes = len(writes_s(field))

    def cooled(
        self,
        met: Met,
        *,
        told_s: float | None = None,
        pods: Iterable[str] | None = None,
        early: Iterable[str] = (),
        provider: str = "claude",
        witness: bool = True,
    ) -> None:
        """Hold the fleet to a refusal: who met it from then on (if it is a `witness`), `early` soon after.

        `pods` (all) from `told_s` on, which is soon as well if it is not given.
        """
        soon_s = met.at_s + TOLD_S
        known = dict.fromkeys(self.field.pods if pods is None else pods, soon_s if told_s is None else told_s)
        known |= dict.fromkeys(early, soon_s)
        if witness:
            known[met.pod] = met.at_s
        self.seen.cooldowns.append(
            Cooldown(provider=provider, pod=met.pod, met_s=met.at_s, until_s=met.until_s, known_s=known)
        )

    def down(self, pod: str, from_s: float, until_s: float) -> None:
        """Leave out what this pod asked for in that time in vain: its sidecar did not run."""
        self._down.append((pod, from_s, until_s))

    def begun_cooling(self, met: Met, *, until_s: float | None = None) -> None:
        """Hold only who met it to a refusal, and only until now (or then): what it belongs to goes."""
        until_s = now_s() if until_s is None else until_s
        self.seen.cooldowns.append(
            Cooldown(
                provider="claude", pod=met.pod, met_s=met.at_s, until_s=until_s, known_s={met.pod: met.at_s}
            )
        )

    async def agree(
        self, met: Met, *, pods: Iterable[str] | None = None, provider: str = "claude", status: bool = True
    ) -> None:
        """Note when those who should know say that it ends; nothing if it is as good as over."""
        await asyncio.sleep(max(0.0, met.at_s + TOLD_S - now_s()))
        ends: dict[str, float | None] = {}
        for pod in self.field.pods if pods is None else pods:
            period = (await self.field.cooling(pod)).get(provider)
            ends[pod] = None if period is None else now_s() + float(period["remaining_seconds"])
        if status:
            until_utc = (await self.field.world.status(provider)).get("cooldownUntil")
            ends["status"] = None if until_utc is None else _monotonic_s(until_utc)
        first_s = min((end_s for end_s in ends.values() if end_s is not None), default=met.until_s)
        ends["the refusal"] = min(max(first_s, met.until_s), met.latest_s)
        if now_s() < met.until_s - TOLD_S:  # else it may have ended while we looked
            self.seen.agreements.append(Agreement(ends_s=ends))

    async def known(
        self, met: Met, *, within_s: float, provider: str = "claude", status: bool = True
    ) -> None:
        """Wait until everybody says that it cools; who does not is stuck."""
        ignorant: list[str] = []

        async def everybody() -> bool:
            ignorant[:] = [pod for pod in self.field.pods if provider not in await self.field.cooling(pod)]
            if status and not (await self.field.world.status(provider)).get("cooldowns"):
                ignorant.append("status")
            return not ignorant or now_s() > met.until_s - TOLD_S

        try:
            await until(everybody, f"{provider} is known to cool", within_s=within_s, every_s=0.05)
        except NotSeen as error:
            self.seen.stuck.append(f"{error}, by {', '.join(ignorant)}")

    async def note_stuck(self, seen: Any, what: str, *, within_s: float) -> None:
        """Wait for something that must come about."""
        try:
            await until(seen, what, within_s=within_s, every_s=0.05)
        except NotSeen as error:
            self.seen.stuck.append(str(error))

    async def finish(self) -> Verdict:
        """Wait until the world is whole again, see that it is, and judge."""
        await self._ways_back()
        await self._current()
        await self.note_stuck(self._all_served, "each sidecar asks claude again", within_s=LONGEST_S)
        await self.note_stuck(
            self._none_waits, f"no request waits longer than {LONGEST_S:g} s", within_s=LONGEST_S
        )
        asked = self.field.load.asked[self._mark :]
        self.seen.asked = [one for one in asked if one.status or not self._was_down(one)]
        self.seen.writes_s = writes_s(self.field)[self._writes :]
        return checks.judge(self.seen)

    def _was_down(self, asked: Asked) -> bool:
        return any(
            asked.pod == pod and asked.began_s < until_s and asked.ended_s > from_s
            for pod, from_s, until_s in self._down
        )

    async def _ways_back(self) -> None:
        ends_s = max((one.until_s for one in self.seen.cooldowns), default=now_s())
        within_s = max(0.0, ends_s - now_s()) + BACK_S

        async def closed() -> bool:
            for pod in self.field.pods:
                if await self.field.cooling(pod):
                    return False
            return all(not (item.get("status") or {}).get("cooldowns") for item in await self.field.objects())

        await self.note_stuck(
            closed, "all cooldowns are over, in every sidecar and in status", within_s=within_s
        )

    async def _current(self) -> None:
        """A change made now is in force everywhere soon, and nothing else is anywhere."""
        await self.field.change()
        found: list[str] = []

        async def current() -> bool:
            wanted = {
                item["metadata"]["name"]: item["metadata"]["generation"]
                for item in await self.field.objects()
            }
            running = {pod: await self.field.generations(pod) for pod in self.field.pods}
            found[:] = checks.stale(wanted, running)
            return not found

        try:
            await until(
                current, "every sidecar runs the API server's objects", within_s=CURRENT_S, every_s=0.05
            )
        except NotSeen:
            self.seen.stale += found
        await self.note_stuck(
            self.field.healthy, "status says Healthy and in force everywhere", within_s=CURRENT_S
        )

    async def _all_served(self) -> bool:
        recent = self.field.load.asked[-400:]
        return {one.pod for one in recent if one.provider == "claude"} >= set(self.field.pods)

    async def _none_waits(self) -> bool:
        return all(now_s() - began_s < LONGEST_S for _, began_s in self.field.load.waiting)


@asynccontextmanager
async def meanwhile(field: Field, seconds: float, *, every_s: float = 10.0) -> AsyncIterator[float]:
    """Let a fault last: the body runs, then the rest of `seconds` passes; the value is when it is over."""
    over_s = now_s() + seconds
    yield over_s
    while (left_s := over_s - now_s()) > 0:
        field.tell.progress(f"{left_s:.0f} s of the fault to go, {len(field.load.asked)} requests so far")
        await asyncio.sleep(min(every_s, left_s))


def writes_s(field: Field) -> list[float]:
    """Return when the operator wrote, by the API server's audit log: no Leases, no questions about rights."""
    return [
        _monotonic_s(entry["requestReceivedTimestamp"])
        for entry in field.world.operator_writes()
        if entry["objectRef"]["resource"] != "leases"
        and not entry["objectRef"]["resource"].endswith("reviews")
    ]


def _monotonic_s(moment_utc: str) -> float:
    return now_s() + (dt.datetime.fromisoformat(moment_utc) - utc_now()).total_seconds()
