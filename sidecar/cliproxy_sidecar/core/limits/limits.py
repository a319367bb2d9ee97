"""Everything that limits and counts, held together over snapshots: gates, callers, spending, wrong keys.

A snapshot changes the limits and keeps what was used. What one plan needs of it is `InForce`; the data path
asks there, the fleet's word comes in through `adopt`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cliproxy_api.report import Taken, Used
from cliproxy_api.snapshot import Position, Snapshot
from cliproxy_api.state import FleetState, PartsPush, StatePush
from cliproxy_sidecar.core.limits.callers import Caller
from cliproxy_sidecar.core.limits.gates import Gate
from cliproxy_sidecar.core.limits.guesses import Guesses
from cliproxy_sidecar.core.limits.keys import KeyRing
from cliproxy_sidecar.core.limits.period import Wall
from cliproxy_sidecar.core.limits.price import cost_nano_usd
from cliproxy_sidecar.core.limits.spending import Spending
from cliproxy_sidecar.core.target import Target
from cliproxy_sidecar.core.usage import Usage

SHORT_KEY: Final = 16
"""A shorter key than this can be guessed by trying."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What limits the requests of one plan; each part is None where nothing is configured."""

    gates: Mapping[str, Gate] | None = None
    """By provider id: only those with a limit."""
    ring: KeyRing[Caller] | None = None
    """None: any caller may pass."""
    counts: bool = False
    """Whether anything is priced, limited or somebody's: else nothing needs to be counted."""
    complaints: tuple[str, ...] = ()
    """What is odd about the keys, for the log; never a key."""


class Limits:
    """Limits and money of one sidecar. `now` is monotonic seconds, `utc` the same instant on the wall."""

    def __init__(self, *, salt: bytes, boot: str, now: float, utc: datetime) -> None:
        """`salt` (16 to 64 random bytes) hides keys; `boot` names this life of the sidecar."""
        self.wall = Wall(now, utc)
        self.gates: dict[str, Gate] = {}
        self.callers: dict[str, Caller] = {}
        self.spending = Spending()
        self.guesses = Guesses()
        self.ring: KeyRing[Caller] | None = None
        """The newest plan's."""
        self._salt = salt
        self._boot = boot
        self._began = now
        self._profile = ""
        self._attached = False
        self._told = FleetState()
        self._parts = PartsPush(position=Position(0, 0))

    def configure(self, snapshot: Snapshot, secrets: Mapping[str, str], now: float) -> InForce:
        """Take a snapshot's limits and callers; what was used of those that stay is kept."""
        self._gates(snapshot, now)
        self._callers(snapshot, now)
        self.ring, complaints = self._ring(snapshot, secrets)
        priced = any(model.pricing is not None for one in snapshot.providers for model in one.models)
        counts = priced or bool(self.gates or self.callers)
        # Requests of an older plan go on with the gates they know: the dictionaries are never changed.
        return InForce(self.gates or None, self.ring, counts, complaints)

    def _gates(self, snapshot: Snapshot, now: float) -> None:
        before, self.gates = self.gates, {}
        for provider in snapshot.providers:
            if provider.rate_limit is None and provider.quota is None:
                continue
            gate = before.get(provider.id)
            if gate is None:
                gate = Gate(provider, self.wall, now)
            else:
                gate.configure(provider, self.wall, now)
            self.gates[provider.id] = gate
            gate.attach(self._attached)
            self._share_gate(provider.id, gate)
            if provider.id not in before:
                self._tell_gate(provider.id, gate, self._told, now)

    def _callers(self, snapshot: Snapshot, now: float) -> None:
        before = self.callers if snapshot.profile.name == self._profile else {}
        self.callers, self._profile = {}, snapshot.profile.name
        for consumer in snapshot.profile.consumers:
            caller = before.get(consumer.name)
            if caller is None:
                caller = Caller(consumer)
            caller.configure(consumer, self.wall, now)
            caller.attach(self._attached)
            self._share_caller(caller)
            self.callers[consumer.name] = caller
            if consumer.name not in before:
                self._tell_caller(caller, self._told, now)

    def _ring(
        self, snapshot: Snapshot, secrets: Mapping[str, str]
    ) -> tuple[KeyRing[Caller] | None, tuple[str, ...]]:
        if not self.callers:
            return None, ()
        ring: KeyRing[Caller] = KeyRing(self._salt)
        complaints: list[str] = []
        for consumer in snapshot.profile.consumers:
            if not consumer.secret:
                continue
            key = secrets[consumer.secret].strip()
            holder = ring.add(key, self.callers[consumer.name]) if key else None
            if holder is not None:
                complaints.append(
                    f"consumers {holder.name} and {consumer.name} have the same key: the first counts"
                )
            if len(key) < SHORT_KEY:
                complaints.append(
                    f"the key of consumer {consumer.name} has fewer than {SHORT_KEY} characters"
                )
        return ring, tuple(complaints)

    # ------------------------------------------------------------------ fleet
    def adopt(self, push: StatePush, now: float) -> None:
        """Take the fleet's word on shares, quotas and budgets."""
        before, self._told = self._told, push.state
        state = push.state
        # Most documents are about a cooldown.
        if self.gates and (state.sharers, state.floors) != (before.sharers, before.floors):
            for provider_id, gate in self.gates.items():
                self._share_gate(provider_id, gate)
        for provider_id, amount in state.quotas.items():
            if (limited := self.gates.get(provider_id)) is not None:
                limited.tell(amount.used, amount.until_utc, now)
        for caller in self.callers.values():
            self._tell_caller(caller, state, now)

    def keep(self, push: PartsPush) -> None:
        """Keep to the parts of shared limits that are ours."""
        self._parts = push
        for provider_id, gate in self.gates.items():
            self._share_gate(provider_id, gate)
        for caller in self.callers.values():
            self._share_caller(caller)

    def taken(self, now: float) -> tuple[dict[str, Taken], dict[str, Taken]]:
        """Return what is taken of shared limits: by provider id, by consumer."""
        providers = {name: told for name, gate in self.gates.items() if (told := gate.taken(now)) is not None}
        consumers = {
            name: told for name, caller in self.callers.items() if (told := caller.taken(now)) is not None
        }
        return providers, consumers

    def attach(self, attached: bool) -> None:  # noqa: FBT001 -- the one thing it says
        """Note whether the operator listens."""
        self._attached = attached
        for gate in self.gates.values():
            gate.attach(attached)
        for caller in self.callers.values():
            caller.attach(attached)

    def _share_gate(self, provider_id: str, gate: Gate) -> None:
        gate.share(self._told.sharers.get(provider_id, 1))
        gate.keep(self._parts.providers.get(provider_id), self._told.floors.get(provider_id))

    def _share_caller(self, caller: Caller) -> None:
        key = f"{self._profile}/{caller.name}"
        caller.share(self._told.consumer_sharers.get(key, 1))
        caller.keep(self._parts.consumers.get(caller.name), self._told.consumer_floors.get(key))

    def _tell_gate(self, provider_id: str, gate: Gate, state: FleetState, now: float) -> None:
        self._share_gate(provider_id, gate)
        amount = state.quotas.get(provider_id)
        if amount is not None:
            gate.tell(amount.used, amount.until_utc, now)

    def _tell_caller(self, caller: Caller, state: FleetState, now: float) -> None:
        self._share_caller(caller)
        spent = state.budgets.get(f"{self._profile}/{caller.name}")
        if spent is not None:
            caller.tell(spent, now)

    # ------------------------------------------------------------------ money
    def count(self, target: Target, consumer: str, usage: Usage, now: float, utc: datetime) -> int:
        """Count one attempt that was answered; return what it cost, in nano-dollars."""
        self.wall.set(now, utc)
        cost = cost_nano_usd(usage, target.model.pricing)
        key = (target.provider_id, target.model.name, consumer)
        self.spending.add(key, usage, cost, utc)
        return cost

    def reuse(self, provider_id: str, model: str, consumer: str, nano_usd: int, utc: datetime) -> None:
        """Count an answer that was given again, and what it had cost when it was made."""
        self.spending.reuse((provider_id, model, consumer), nano_usd, utc)

    def reports(self, now: float, utc: datetime) -> tuple[Used, ...]:
        """Return what the operator has not been told; it counts as told."""
        self.wall.set(now, utc)
        self.spending.at(utc)
        self._reported()
        return self.spending.reports(self._boot, now - self._began)

    def standing(self, now: float) -> tuple[Used, ...]:
        """Return all that is true of today, for a new stream."""
        self._reported()
        return self.spending.standing(self._boot, now - self._began)

    def _reported(self) -> None:
        for gate in self.gates.values():
            if gate.period is not None:
                gate.period.report()
        for caller in self.callers.values():
            for period in caller.periods.values():
                period.report()
