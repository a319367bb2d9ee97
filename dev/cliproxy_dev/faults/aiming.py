"""Brings a cooldown to one of its steps and holds it there; the operator is stopped (SIGSTOP) at it.

A stopped operator moves nothing on, so the world can be looked at in peace before it is killed for good.
"""

import asyncio
import signal
from dataclasses import dataclass
from typing import Final

from cliproxy_dev.clock import now_s
from cliproxy_dev.faults.field import Field, Met, until
from cliproxy_dev.faults.steps import HELD, Held, Look, Place, Step, place_in_status, step_of

COOLS_S: Final = 20
"""Long enough to start an operator in the middle of it, on a busy machine too ..."""
ENDS_S: Final = 5
"""... and short, for the steps that come after its end."""
BEFORE_END_S: Final = 0.5
SLOW_S: Final = 10.0
"""How long a slow trial takes: longer than a standby needs to lead."""
REACHED_S: Final = 15.0
FIRST_SHARE, LAST_SHARE = 50, 100
"""The ramp of examples/demo/policy.yaml."""
METRIC: Final = 'cliproxy_cooldown_active{namespace="demo",provider="claude"}'


@dataclass(frozen=True, slots=True)
class Stopped:
    """The operator stands still at a step."""

    met: Met
    look: Look
    step: Step
    asked: int = 0
    """How many requests the provider had had before the cooldown's end came near."""
    tried_s: float | None = None
    """When the first after that was seen, if it was looked for."""


class Aim:
    """One cooldown on its way to one step."""

    def __init__(self, field: Field, step: Step) -> None:
        self._field = field
        self._step = step
        self._asked = 0
        self._mark = 0
        self._tried_s: float | None = None

    async def reach(self) -> Stopped:
        """Let a provider refuse, hold the step, stop the operator there.

        Raises:
            NotSeen: the world did not come to it; nothing is held any more.

        """
        held = HELD[self._step]
        early = held.since == "the refusal"
        if early:
            self._hold(held)
        met = await self._field.refuse(COOLS_S if early else ENDS_S)
        if not early:
            await self._come_to(held, met)
            await self._note_trials()
            if held.slow:
                await self._slow()
            self._hold(held)
        await until(lambda: self._is_there(met), f"the step: {self._step}", within_s=REACHED_S, every_s=0.01)
        if self._step is Step.WRITTEN:
            await asyncio.sleep(self._field.chance.uniform(0.0, COOLS_S / 4))
        heard = self._step is Step.HEARD
        self._signal(signal.SIGSTOP)
        look = await self._look(met, heard=heard)
        return Stopped(met, look, step_of(look), asked=self._asked, tried_s=self._tried_s)

    def _signal(self, number: signal.Signals) -> None:
        self._field.world.parts["operator"].send(number)

    def _hold(self, held: Held) -> None:
        between, pods = self._field.valves, self._field.pods
        deaf = {"all": (), "some": pods[len(pods) // 2 :], "none": pods}[held.told]
        between.hold(there=deaf, back=() if held.heard else pods, writes=not held.written)

    async def _come_to(self, held: Held, met: Met) -> None:
        """Wait for the moment from which on the step is held."""
        if held.since == "the end of cooling":
            await asyncio.sleep(max(0.0, met.until_s - BEFORE_END_S - now_s()))
            return
        share = FIRST_SHARE if held.since == "the first ramp step" else LAST_SHARE
        wanted = Place.read("Ramp", share, over=True)

        async def there() -> bool:
            look = await self._look(met, heard=False)
            return look.front == wanted and look.written and look.all_told

        within_s = met.until_s - now_s() + REACHED_S
        await until(there, f"{held.since}, told and written", within_s=within_s, every_s=0.01)

    async def _note_trials(self) -> None:
        self._mark = len(self._field.load.asked)
        self._asked = await self._requests()

    async def _requests(self) -> int:
        return await self._field.world.requests_count("claude", "/v1/messages")

    async def _slow(self) -> None:
        url = f"{self._field.world.control_url('claude')}/_script/behaviour"
        async with self._field.world.http.post(url, json={"kind": "normal", "latency_s": SLOW_S}) as answer:
            answer.raise_for_status()

    async def _is_there(self, met: Met) -> bool:
        heard = self._step is Step.HEARD and await self._has_heard()
        look = await self._look(met, heard=heard)
        return step_of(look) is self._step

    async def _has_heard(self) -> bool:
        async with self._field.world.http.get(f"{self._field.world.operator_url}/metrics") as answer:
            return f"{METRIC} 1.0" in await answer.text()

    async def _look(self, met: Met, *, heard: bool) -> Look:
        over = now_s() > met.until_s - BEFORE_END_S
        field = self._field
        status, tried, *cooling = await asyncio.gather(
            field.world.status("claude"), self._requests(), *(field.cooling(pod) for pod in field.pods)
        )
        places = {}
        for pod, its in zip(field.pods, cooling, strict=True):
            period = its.get("claude") or {}
            places[pod] = Place.read(period.get("phase"), period.get("share_percent"), over=over)
        is_tried = bool(self._mark) and tried > self._asked
        if is_tried and self._tried_s is None:
            self._tried_s = now_s()
        answers = field.load.asked[self._mark :] if self._mark else []
        return Look(
            pods=places,
            status=place_in_status(status, over=over),
            heard=heard,
            tried=is_tried,
            passed=any(one.provider == "claude" for one in answers),
        )
