"""All providers of one AlertRule: their states, what each channel knows of them, and how telling it went.

The one mutable thing among the alerts' decisions; the time is handed in. One provider's state is `machine`'s,
what is owed `owed`'s, writing down and taking over from status `restoring`'s.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cliproxy_api.alert_condition import ConditionError, parse_condition
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.resources.alertrule import AlertRuleSpec
from cliproxy_api.vocabulary import AlertState, Delivery
from cliproxy_operator.alerts.figures import Figure
from cliproxy_operator.alerts.judge import Figures, holds, metrics_of
from cliproxy_operator.alerts.machine import Standing, Timing, step
from cliproxy_operator.alerts.owed import GIVE_UP_AFTER, Known, Owed, owed
from cliproxy_operator.instants import lies_ahead, rounded_up

RESEND_AFTER: Final = timedelta(seconds=60)
"""An Alertmanager forgets what is not told again; Prometheus does so as often."""


@dataclass(frozen=True, slots=True)
class Told:
    """How a notification ended; `channel` is empty where it is known otherwise."""

    at: datetime
    result: Delivery
    message: str = ""
    channel: str = ""

    def repeats(self, other: "Told | None") -> bool:
        """Whether this is a failure that is known already."""
        return (
            other is not None
            and self.result is Delivery.FAILED
            and (self.result, self.message, self.channel) == (other.result, other.message, other.channel)
        )


@dataclass(slots=True)
class Entry:
    """One provider."""

    standing: Standing
    told: dict[str, datetime] = field(default_factory=dict)
    last: Told | None = None
    unknown: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """As last judged."""


class RuleAlerts:
    """One rule's alerts. Instants are aware UTC."""

    def __init__(self, spec: AlertRuleSpec, generation: int) -> None:
        """`spec` is one that was accepted."""
        self.entries: dict[str, Entry] = {}
        self.channels: dict[str, Told] = {}
        self.generation = -1
        self._last_sent: dict[str, datetime] = {}
        self._resent: dict[str, datetime] = {}
        self.configure(spec, generation)

    def configure(self, spec: AlertRuleSpec, generation: int) -> None:
        """Take a version of the rule. What is pending under another condition begins anew."""
        if generation == self.generation:
            return
        expression = parse_condition(spec.condition)
        if isinstance(expression, ConditionError):
            raise ValueError(f"a condition that was not accepted: {expression}")  # noqa: TRY004 -- a bug of ours
        self.spec, self.expression, self.metrics = spec, expression, metrics_of(expression)
        self.timing = Timing(
            duration=timedelta(seconds=parse_duration_s(spec.duration)),
            resolve_after=timedelta(seconds=parse_duration_s(spec.resolve.after)),
            repeat=timedelta(seconds=parse_duration_s(spec.repeat_interval)),
        )
        self._kept_up = {one.name for one in spec.notifications if one.alertmanager is not None}
        if self.generation >= 0:
            self.forget_pending()
        self.generation = generation
        names = {one.name for one in spec.notifications}
        self.channels = {name: told for name, told in self.channels.items() if name in names}
        for entry in self.entries.values():
            entry.told = {name: at for name, at in entry.told.items() if name in names}

    def forget_pending(self) -> None:
        """Let what is pending begin anew: its condition was another one."""
        for name in [name for name, one in self.entries.items() if one.standing.state is AlertState.PENDING]:
            entry = self.entries[name]
            if entry.told:
                entry.standing = Standing(
                    AlertState.INACTIVE, entry.standing.since, fired_at=entry.standing.fired_at
                )
            else:
                del self.entries[name]

    def judge(self, providers: Mapping[str, Figures], now: datetime) -> bool:
        """Judge the selected providers, by name; return whether anything changed that status shows.

        A provider that is not selected any more is over at once, and forgotten when every channel knows.
        """
        changed = False
        for name, figures in providers.items():
            changed |= self._judge(name, figures, now)
        for name in [name for name in self.entries if name not in providers]:
            changed |= self._leave(self.entries[name], now)
            if not self.entries[name].told:
                del self.entries[name]
                changed = True
        return self._let_go(now) or changed

    def owed(self, channel: str, now: datetime) -> Owed | datetime | None:
        """Return what a channel must hear now, or when to ask again; as `owed.owed`."""
        if self.spec.suspend:
            return None
        kept_up = channel in self._kept_up
        repeat = None if kept_up else self.timing.repeat
        last_sent = self._last_sent.get(channel)
        found = owed(self._known(), channel, repeat=repeat, last_sent=last_sent, now=now)
        if not kept_up or isinstance(found, Owed):
            return found
        still = tuple(name for name, one in self.entries.items() if self._fires(one) and channel in one.told)
        if not still:
            return found
        last = self._resent.get(channel)
        resend = now if last is None or lies_ahead(last, now) else last + RESEND_AFTER
        if now >= resend:
            return Owed(still=tuple(sorted(still)))
        return resend if found is None else min(found, resend)

    def waiting(self, channel: str) -> int:
        """Return how many alerts a channel has yet to hear of."""
        if self.spec.suspend:
            return 0
        return sum(
            (channel not in one.told)
            if self._fires(one)
            else (channel in one.told and one.standing.state is AlertState.INACTIVE)
            for one in self.entries.values()
        )

    def tried(self, channel: str, now: datetime) -> None:
        """Note that a message is on its way, so that the next one keeps its distance."""
        self._last_sent[channel] = now

    def settle(self, channel: str, message: Owed, told: Told) -> bool:
        """Note how telling a channel ended; return whether that is news for status."""
        told = Told(rounded_up(told.at), told.result, told.message)
        delivered = told.result is Delivery.DELIVERED
        if delivered:
            self._resent[channel] = told.at
        for name in (*message.firing, *message.over):
            entry = self.entries.get(name)
            if entry is None:
                continue
            if delivered and name in message.firing:
                # Over while it was under way, and nobody is to hear so: as if never told.
                if self._fires(entry) or self.spec.resolve.notify:
                    entry.told[channel] = told.at
            elif delivered:
                entry.told.pop(channel, None)
            mine = Told(told.at, told.result, told.message, channel)
            entry.last = entry.last if mine.repeats(entry.last) else mine
        known = self.channels.get(channel)
        if (
            not message.any
            and known is not None
            and (known.result, known.message)
            == (
                told.result,
                told.message,
            )
        ):
            return False  # kept up, as before: nobody's news
        if told.repeats(known):
            return False
        self.channels[channel] = told
        return True

    def end(self, now: datetime) -> None:
        """Let everything be over, as when the rule is deleted."""
        self.judge({}, now)

    def _judge(self, name: str, figures: Figures, now: datetime) -> bool:
        entry = self.entries.get(name)
        verdict = holds(self.expression, figures)
        value = first_number(self.metrics, figures)
        before = entry.standing if entry is not None else None
        after = step(before, verdict, value=value, timing=self.timing, now=now)
        unknown = tuple(one for one in self.metrics if figures.get(one) is None) if verdict is None else ()
        if entry is None:
            self.entries[name] = Entry(after, unknown=unknown, figures=figures)
            return True
        changed = after is not before or unknown != entry.unknown
        if after.state is AlertState.INACTIVE and before is not after:
            self._over(entry)
        entry.standing, entry.unknown, entry.figures = after, unknown, figures
        return changed

    def _leave(self, entry: Entry, now: datetime) -> bool:
        if entry.standing.state is AlertState.INACTIVE:
            return False
        entry.standing = Standing(AlertState.INACTIVE, rounded_up(now), fired_at=entry.standing.fired_at)
        entry.unknown = ()
        self._over(entry)
        return True

    def _over(self, entry: Entry) -> None:
        if not self.spec.resolve.notify:
            entry.told.clear()

    def _let_go(self, now: datetime) -> bool:
        """Stop trying to tell what has long been over; nothing waits for ever."""
        changed = False
        for entry in self.entries.values():
            late = entry.standing.state is AlertState.INACTIVE and now - entry.standing.since > GIVE_UP_AFTER
            if late and entry.told and not self.spec.suspend:
                entry.told.clear()
                changed = True
        return changed

    def _fires(self, entry: Entry) -> bool:
        return entry.standing.state is AlertState.FIRING

    def _known(self) -> Iterable[Known]:
        return (Known(name, entry.standing, entry.told) for name, entry in self.entries.items())


def first_number(metrics: Iterable[str], figures: Figures) -> float | None:
    """Return the first metric's figure if it is a number, to four digits."""
    value = figures.get(next(iter(metrics), ""))
    return float(f"{value:.4g}") if isinstance(value, int | float) and not isinstance(value, bool) else None
