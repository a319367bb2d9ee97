"""What one channel is owed now: which alerts it must hear of in one message, or when to look again.

Level-based: it compares what stands with what the channel knows, so a message that could not be delivered is
never sent late and wrong; it is made anew from what is true then. One message holds all providers of a rule.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.vocabulary import AlertState
from cliproxy_operator.alerts.machine import Standing
from cliproxy_operator.instants import lies_ahead

GROUP_WAIT: Final = timedelta(seconds=2)
"""A burst over many providers becomes one message; no person is faster than this."""
GROUP_INTERVAL: Final = timedelta(seconds=10)
"""Between two messages of a rule on one channel: what comes in between is one message again."""
GIVE_UP_AFTER: Final = timedelta(hours=1)
"""A channel that cannot be told for so long that an alert is over is not told any more."""


@dataclass(frozen=True, slots=True)
class Known:
    """One provider's alert, and what channels know of it."""

    provider: str
    standing: Standing
    told: Mapping[str, datetime]
    """By channel: when it was last told that this fires; a channel that knows of nothing is not in here."""


@dataclass(frozen=True, slots=True)
class Owed:
    """One message."""

    firing: tuple[str, ...] = ()
    """Providers to tell that they fire: new, or due again; by name."""
    over: tuple[str, ...] = ()
    """Providers to tell that it is over."""
    still: tuple[str, ...] = ()
    """Providers that fire and that the channel knows of already."""

    @property
    def any(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.firing or self.over)


def owed(
    alerts: Iterable[Known],
    channel: str,
    *,
    repeat: timedelta | None,
    last_sent: datetime | None,
    now: datetime,
) -> Owed | datetime | None:
    """Return the message that is due; an instant: not before then; None: nothing, unless something changes.

    `repeat` None: what fires is told once (the receiver keeps it). `last_sent` is this channel's last try;
    one that lies ahead was told by a wrong clock: it must not silence the channel until it has come.
    """
    due: list[datetime] = []
    firing, over, still = [], [], []
    for alert in alerts:
        told, since = alert.told.get(channel), alert.standing.since
        if alert.standing.state is not AlertState.FIRING:
            if told is not None and alert.standing.state is AlertState.INACTIVE:
                over.append(alert.provider)
                due.append(since + GROUP_WAIT)
            elif told is not None:  # pending again before anybody heard that it was over: not news yet
                still.append(alert.provider)
        elif told is None:
            firing.append(alert.provider)
            due.append(since + GROUP_WAIT)
        else:
            again = told + repeat if repeat is not None else None
            (firing if again is not None and again <= now else still).append(alert.provider)
            if again is not None:
                due.append(again)
    if not due:
        return None
    at = min(due)
    if last_sent is not None and not lies_ahead(last_sent, now):
        at = max(at, last_sent + GROUP_INTERVAL)
    if now < at:
        return at
    return Owed(tuple(sorted(firing)), tuple(sorted(over)), tuple(sorted(still)))
