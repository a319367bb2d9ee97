"""One message to one channel: everything its words and wire bodies are made of.

The same facts give the same `id`, also at the next leader, so receivers can drop a message that a failover
sent twice. Words are `words`', wire formats `bodies`'.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.vocabulary import AlertState, Severity
from cliproxy_operator.alerts.figures import Figure
from cliproxy_operator.alerts.judge import comparisons
from cliproxy_operator.alerts.owed import Owed
from cliproxy_operator.alerts.rule import Entry, RuleAlerts

MAX_DEDUP_CHARS: Final = 255
"""PagerDuty's bound for a dedup_key."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric of the condition: what it is and what it is compared with."""

    metric: str
    value: Figure
    operator: str
    threshold: float | str | bool


@dataclass(frozen=True, slots=True)
class Line:
    """One provider's alert."""

    provider: str
    firing: bool
    since: datetime
    """When it began to fire."""
    until: datetime | None
    """When it was over; None while it fires."""
    readings: tuple[Reading, ...]
    told_before: datetime | None
    """When this channel was last told; None: this is the first time."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one channel is told."""

    namespace: str
    rule: str
    uid: str
    """Of the rule: unique over clusters."""
    channel: str
    severity: Severity
    condition: str
    firing: tuple[Line, ...]
    over: tuple[Line, ...]
    still: tuple[Line, ...]
    """Firing and known to the channel already."""
    now_utc: datetime

    @property
    def fires(self) -> bool:
        """Whether anything fires after this message."""
        return bool(self.firing or self.still)

    @property
    def dedup_key(self) -> str:
        """Names the rule's alert as a whole: all messages of one outage carry the same."""
        return f"cliproxy/{self.uid}/{self.namespace}/{self.rule}"[:MAX_DEDUP_CHARS]

    @property
    def id(self) -> str:
        """Names this message by what it says: equal for one that is sent twice."""
        parts = [self.uid, self.channel]
        for line in (*self.firing, *self.over):
            parts += [line.provider, str(line.firing), line.since.isoformat(), str(line.told_before)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def build(rule: AlertRule, alerts: RuleAlerts, channel: str, owed: Owed, now_utc: datetime) -> Message:
    """Return the message that a channel is owed."""

    def lines(names: Iterable[str]) -> tuple[Line, ...]:
        return tuple(
            _line(name, alerts.entries[name], alerts, channel) for name in names if name in alerts.entries
        )

    return Message(
        namespace=rule.metadata.namespace,
        rule=rule.metadata.name,
        uid=rule.metadata.uid,
        channel=channel,
        severity=alerts.spec.severity,
        condition=alerts.spec.condition,
        firing=lines(owed.firing),
        over=lines(owed.over),
        still=lines(owed.still),
        now_utc=now_utc,
    )


def _line(name: str, entry: Entry, alerts: RuleAlerts, channel: str) -> Line:
    standing = entry.standing
    firing = standing.state is not AlertState.INACTIVE
    readings = {
        (one.metric, one.operator, one.value): Reading(
            one.metric, entry.figures.get(one.metric), one.operator, one.value
        )
        for one in comparisons(alerts.expression)
    }
    return Line(
        provider=name,
        firing=firing,
        since=standing.fired_at or standing.since,
        until=None if firing else standing.since,
        readings=tuple(readings.values()),
        told_before=entry.told.get(channel),
    )
