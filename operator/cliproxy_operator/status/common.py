"""Conditions that all kinds share: Accepted, Synced, Ready, and kstatus's Reconciling and Stalled."""

from dataclasses import dataclass
from datetime import datetime

from cliproxy_api.conditions import ConditionType, Reason, find_condition, set_condition, without_condition
from cliproxy_api.resources.common import Condition, SidecarCounts
from cliproxy_api.vocabulary import ConditionStatus
from cliproxy_operator.instants import write_instant
from cliproxy_operator.validate import Diagnostic, Severity
from cliproxy_operator.view import SidecarsView

MAX_NAMED = 3
"""Diagnostics and sidecars spelt out in a message; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One condition before it is set."""

    status: ConditionStatus
    reason: str
    message: str


class Conditions:
    """The conditions of one object while its status is being built."""

    def __init__(self, previous: tuple[Condition, ...], *, generation: int, now_utc: datetime) -> None:
        self.result = previous
        self._generation = generation
        self._now = write_instant(now_utc)

    def put(self, kind: ConditionType, fact: Fact) -> None:
        """Set a condition."""
        self.result = set_condition(
            self.result,
            kind,
            fact.status,
            reason=fact.reason,
            message=fact.message,
            generation=self._generation,
            now=self._now,
        )

    def put_while_known(self, kind: ConditionType, fact: Fact | None) -> None:
        """Set a condition, or leave it out when there is nothing to say (None)."""
        if fact is None:
            self.result = without_condition(self.result, kind)
        else:
            self.put(kind, fact)

    def put_while_true(self, kind: ConditionType, fact: Fact | None) -> None:
        """Set a condition that is listed only while it is true (kstatus); None: it is not."""
        self.put_while_known(kind, fact)

    def stand(self, accepted: Fact, observed_generation: int | None) -> bool:
        """Whether what is said of sidecars still holds, if none has changed: of this generation, accepted."""
        before = find_condition(self.result, ConditionType.ACCEPTED)
        synced = find_condition(self.result, ConditionType.SYNCED)
        same = before is not None and before.status == accepted.status
        return same and synced is not None and observed_generation == self._generation

    def put_configuration(
        self, accepted: Fact, sidecars: SidecarsView | None, *, standing: bool = False
    ) -> None:
        """Set Accepted, Synced, Ready, Reconciling and Stalled; without sidecars (None) no Synced.

        `standing`: all but the first stay as they are.
        """
        self.put(ConditionType.ACCEPTED, accepted)
        if standing:
            return
        refused = accepted.status is ConditionStatus.FALSE
        if sidecars is not None:
            self.put(ConditionType.SYNCED, _synced(accepted, sidecars))
        ready = _ready(accepted, sidecars)
        self.put(ConditionType.READY, ready)
        stuck = accepted if refused else _stuck(sidecars)
        waiting = ready.status is ConditionStatus.FALSE and stuck is None
        self.put_while_true(ConditionType.RECONCILING, _true(ready) if waiting else None)
        self.put_while_true(ConditionType.STALLED, _true(stuck) if stuck is not None else None)


def accepted_fact(diagnostics: tuple[Diagnostic, ...], *, fine: str) -> Fact:
    """Return condition Accepted: False if any diagnostic is an error; `fine` is the message without any."""
    errors = [one for one in diagnostics if one.severity is Severity.ERROR]
    told = errors or list(diagnostics)
    if not told:
        return Fact(ConditionStatus.TRUE, Reason.ACCEPTED, fine)
    message = "; ".join(str(one) for one in told[:MAX_NAMED])
    if len(told) > MAX_NAMED:
        message += f"; and {len(told) - MAX_NAMED} more"
    return Fact(ConditionStatus.FALSE if errors else ConditionStatus.TRUE, told[0].reason, message)


def sidecar_counts(view: SidecarsView) -> SidecarCounts:
    """Return the counts as status has them."""
    return SidecarCounts(total=view.total, ready=view.ready, synced=view.synced, summary=summary(view))


def summary(view: SidecarsView) -> str:
    """Return synced of total, such as "2/2"."""
    return f"{view.synced}/{view.total}"


def _synced(accepted: Fact, view: SidecarsView) -> Fact:
    if accepted.status is ConditionStatus.FALSE:
        message = "not accepted, so no sidecar runs this generation"
        return Fact(ConditionStatus.FALSE, accepted.reason, message)
    if not view.total:
        return Fact(ConditionStatus.TRUE, Reason.NO_SIDECARS, "no sidecar is concerned at present")
    if view.synced >= view.total:
        return Fact(ConditionStatus.TRUE, Reason.SYNCED, "every sidecar runs the current configuration")
    return Fact(ConditionStatus.FALSE, _why(view), _lag(view))


def _ready(accepted: Fact, view: SidecarsView | None) -> Fact:
    if accepted.status is ConditionStatus.FALSE:
        return accepted
    if view is None:
        return Fact(ConditionStatus.TRUE, Reason.READY, "accepted")
    if view.ready_synced >= view.ready:
        return Fact(ConditionStatus.TRUE, Reason.READY, "accepted and in force in every ready sidecar")
    return Fact(ConditionStatus.FALSE, _why(view), _lag(view))


def _stuck(view: SidecarsView | None) -> Fact | None:
    """Return what no waiting will mend: a ready sidecar that refuses the configuration and is not synced."""
    if view is None or view.ready_synced >= view.ready:
        return None
    refused = [one for one in view.lagging if one.reason == Reason.SNAPSHOT_REFUSED]
    return Fact(ConditionStatus.TRUE, Reason.SNAPSHOT_REFUSED, _lag(view)) if refused else None


def _why(view: SidecarsView) -> str:
    reasons = [one.reason for one in view.lagging]
    if Reason.SNAPSHOT_REFUSED in reasons:
        return Reason.SNAPSHOT_REFUSED
    return reasons[0] if reasons else Reason.PENDING


def _lag(view: SidecarsView) -> str:
    message = f"{view.synced} of {view.total} sidecars run the current configuration"
    named = [f"{one.sidecar.pod}: {one.message or one.reason}" for one in view.lagging[:MAX_NAMED]]
    return "; ".join([message, *named])


def _true(fact: Fact) -> Fact:
    return Fact(ConditionStatus.TRUE, fact.reason, fact.message)
