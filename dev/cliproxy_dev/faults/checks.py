"""The invariants that hold under every fault, judged from what was seen. Pure.

1. No request is lost that a healthy provider could have served: in these worlds one always could.
2. No cooldown is lost: who has met a refusal, or was in touch with the fleet after it, does not ask that
   provider again before the instant it named; and the instant is the same in status and in every sidecar.
3. Nothing is stuck: the way back ends in bounded time, no request waits for ever, nobody stays cut off.
4. Nothing is stale: every sidecar runs exactly the objects that the API server holds.
5. No write storm: the operator's writes in any ten seconds are bounded.

Instants are monotonic seconds of the process that looks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

OK: Final = 200
NEAR_S: Final = 0.15
"""A request may have been sent on just before its sidecar heard; and this process's clock reads late."""
AGREE_S: Final = 2.5
"""Instants in documents are whole seconds, and a deadline up to 2 s later is no news."""
WINDOW_S: Final = 10.0
STORM: Final = 120
"""Writes in `WINDOW_S`; there are about ten objects, and a restart judges each of them."""
PER_OBJECT: Final = 2
"""Status, and one Event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that has ended; `status` 0: without an answer."""

    pod: str
    model: str
    began_s: float
    ended_s: float
    status: int
    provider: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """One refusal that a sidecar met, and who must have known of it from when on."""

    provider: str
    pod: str
    met_s: float
    """When the request that met it had ended."""
    until_s: float
    """Before this instant nobody who knows may ask."""
    known_s: Mapping[str, float]
    """By when each pod, the one that met it included, must have known; pods that need not know are absent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """When one cooldown ends, as told at one moment by each who should know; None: knows of none."""

    ends_s: Mapping[str, float | None]


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one run has shown."""

    asked: Sequence[Asked] = ()
    cooldowns: list[Cooldown] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    """What had not come to an end in its time, in words."""
    stale: list[str] = field(default_factory=list)
    """Whose configuration was not the API server's in time, in words."""
    writes_s: Sequence[float] = ()
    """The instants of the operator's writes, Lease renewals left out."""
    objects: int = 0
    """How many objects were made: each may be written to `PER_OBJECT` times besides."""
    other: list[str] = field(default_factory=list)
    """What else went against the fault's own rules, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One run's figures; `words` tells each violation for people."""

    requests: int
    lost: int
    cooldowns: int
    cooldowns_lost: int
    stuck: int
    stale: int
    writes: int
    peak: int
    """Most writes in any `WINDOW_S`."""
    words: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every invariant held."""
        return not self.words


def judge(seen: Seen) -> Verdict:
    """Weigh one run."""
    lost = [one for one in seen.asked if one.status != OK]
    broken = [words for one in seen.cooldowns for words in _broken(one, seen.asked)]
    torn = [words for one in seen.agreements for words in _torn(one)]
    peak = busiest(seen.writes_s)
    words = [
        f"lost: {one.pod} answered {one.status} after {one.ended_s - one.began_s:.2f} s" for one in lost[:5]
    ]
    words += [f"cooldown lost: {told}" for told in (*broken[:5], *torn)]
    words += [f"stuck: {told}" for told in seen.stuck]
    words += [f"stale: {told}" for told in seen.stale]
    words += (
        [f"write storm: {peak} writes in {WINDOW_S:g} s"] if peak > STORM + PER_OBJECT * seen.objects else []
    )
    words += seen.other
    return Verdict(
        requests=len(seen.asked),
        lost=len(lost),
        cooldowns=len(seen.cooldowns),
        cooldowns_lost=sum(1 for one in seen.cooldowns if any(True for _ in _broken(one, seen.asked)))
        + len(torn),
        stuck=len(seen.stuck),
        stale=len(seen.stale),
        writes=len(seen.writes_s),
        peak=peak,
        words=tuple(words),
    )


def busiest(instants_s: Iterable[float]) -> int:
    """Return the most instants in any `WINDOW_S`."""
    ordered = sorted(instants_s)
    most = first = 0
    for last, instant_s in enumerate(ordered):
        while instant_s - ordered[first] >= WINDOW_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def stale(wanted: Mapping[str, int], running: Mapping[str, Mapping[str, int] | None]) -> list[str]:
    """Compare providers' generations at the API server with what each pod runs (None: it does not say)."""
    words = []
    for pod, its in sorted(running.items()):
        if its is None:
            words.append(f"{pod} does not say what it runs")
            continue
        words += [
            f"{pod} runs {name} {_generation(its.get(name))}, wanted {_generation(wanted.get(name))}"
            for name in sorted(wanted.keys() | its.keys())
            if wanted.get(name) != its.get(name)
        ]
    return words


def _generation(number: int | None) -> str:
    return "not at all" if number is None else f"of generation {number}"


def _broken(cooldown: Cooldown, asked: Iterable[Asked]) -> Iterable[str]:
    for one in asked:
        known_s = cooldown.known_s.get(one.pod)
        if one.provider != cooldown.provider or known_s is None:
            continue
        if known_s + NEAR_S < one.began_s < cooldown.until_s - NEAR_S:
            early_s = cooldown.until_s - one.began_s
            yield f"{one.pod} asked {one.provider} {early_s:.2f} s before its cooldown ended"


def _torn(agreement: Agreement) -> Iterable[str]:
    told = {name: end_s for name, end_s in agreement.ends_s.items() if end_s is not None}
    ignorant = sorted(agreement.ends_s.keys() - told.keys())
    if ignorant:
        yield f"{', '.join(ignorant)} did not know of it"
    elif told and max(told.values()) - min(told.values()) > AGREE_S:
        parts = ", ".join(
            f"{name} {end_s - min(told.values()):+.2f} s" for name, end_s in sorted(told.items())
        )
        yield f"they did not agree when it ends: {parts}"
