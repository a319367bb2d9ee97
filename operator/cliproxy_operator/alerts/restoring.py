"""A rule's alerts as status lists them, and back: what the next leader must know to page nobody twice.

Which write is worth it is `status/writing`'s.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from cliproxy_api.conditions import clip
from cliproxy_api.resources.alertrule import (
    AlertRuleStatus,
    ChannelStatus,
    DeliveryStatus,
    ProviderAlert,
    ToldChannel,
)
from cliproxy_api.vocabulary import AlertState, Delivery
from cliproxy_operator.alerts.machine import Standing
from cliproxy_operator.alerts.rule import Entry, RuleAlerts, Told
from cliproxy_operator.instants import lies_ahead, read_instant, rounded_up, write_instant

MAX_PROVIDERS: Final = 100
MAX_MESSAGE_CHARS: Final = 512
_WORST_FIRST: Final = {AlertState.FIRING: 0, AlertState.PENDING: 1, AlertState.INACTIVE: 3}
_TO_BE_TOLD: Final = 2


def provider_alerts(rule: RuleAlerts) -> tuple[ProviderAlert, ...]:
    """Return the worst 100 for status: firing, pending, over but not told yet, the rest; by name."""
    ordered = sorted(rule.entries.items(), key=lambda item: (_badness(item[1]), item[0]))
    return tuple(_alert(name, entry) for name, entry in ordered[:MAX_PROVIDERS])


def channel_statuses(rule: RuleAlerts) -> tuple[ChannelStatus, ...]:
    """Return how each channel took its last notification, in the order of the spec."""
    return tuple(
        ChannelStatus(
            name=one.name,
            at=write_instant(told.at),
            result=told.result,
            message=clip(told.message, MAX_MESSAGE_CHARS) or None,
        )
        for one in rule.spec.notifications
        if (told := rule.channels.get(one.name)) is not None
    )


def restore(rule: RuleAlerts, status: AlertRuleStatus, now: datetime) -> None:
    """Take over what an earlier leader wrote. What is unreadable (another hand's edit) is left out."""
    for written in status.providers:
        entry = _entry(written, now)
        if entry is not None:
            rule.entries[written.provider] = entry
    for channel in status.channels:
        at = _past(read_instant(channel.at), now)
        if at is not None and channel.result is not None:
            rule.channels[channel.name] = Told(at, channel.result, channel.message or "")
            rule.tried(channel.name, at)
    if status.observed_generation != rule.generation:
        rule.forget_pending()
    _forget_strangers(rule)


def adopt(rule: RuleAlerts, status: AlertRuleStatus, now: datetime) -> None:
    """Take over what a backup knows and the rule does not: what fires or is still to be told goes first."""
    for written in status.providers:
        known = rule.entries.get(written.provider)
        if known is not None and (known.told or known.standing.state is AlertState.FIRING):
            continue
        entry = _entry(written, now)
        if entry is not None:
            rule.entries[written.provider] = entry
    for channel in status.channels:
        at = _past(read_instant(channel.at), now)
        if channel.name not in rule.channels and at is not None and channel.result is not None:
            rule.channels[channel.name] = Told(at, channel.result, channel.message or "")
    _forget_strangers(rule)


def _forget_strangers(rule: RuleAlerts) -> None:
    """Drop what is known of channels that the rule does not have."""
    names = {one.name for one in rule.spec.notifications}
    rule.channels = {name: told for name, told in rule.channels.items() if name in names}
    for entry in rule.entries.values():
        entry.told = {name: at for name, at in entry.told.items() if name in names}


def _badness(entry: Entry) -> int:
    over = entry.standing.state is AlertState.INACTIVE
    return _TO_BE_TOLD if over and entry.told else _WORST_FIRST[entry.standing.state]


def _alert(name: str, entry: Entry) -> ProviderAlert:
    standing = entry.standing
    return ProviderAlert(
        provider=name,
        state=standing.state,
        since=write_instant(standing.since),
        value=standing.value,
        fired_at=_written(standing.fired_at),
        clear_since=_written(standing.clear_since),
        unknown=entry.unknown,
        told=tuple(ToldChannel(channel=one, at=write_instant(at)) for one, at in sorted(entry.told.items())),
        last_notification=_delivery(entry.last),
    )


def _delivery(told: Told | None) -> DeliveryStatus | None:
    if told is None:
        return None
    message = clip(told.message, MAX_MESSAGE_CHARS) or None
    return DeliveryStatus(
        at=write_instant(told.at), channel=told.channel, result=told.result, message=message
    )


def _entry(written: ProviderAlert, now: datetime) -> Entry | None:
    since = _past(read_instant(written.since), now)
    if written.state is None or since is None:
        return None
    standing = Standing(
        state=written.state,
        since=since,
        value=written.value,
        fired_at=_past(read_instant(written.fired_at), now),
        clear_since=_past(read_instant(written.clear_since), now),
    )
    told = {one.channel: at for one in written.told if (at := _past(read_instant(one.at), now)) is not None}
    return Entry(standing, told=told, last=_last(written.last_notification, now), unknown=written.unknown)


def _last(written: DeliveryStatus | None, now: datetime) -> Told | None:
    at = _past(read_instant(written.at), now) if written is not None else None
    if written is None or at is None or written.result is None:
        return None
    return Told(at, Delivery(written.result), written.message or "", written.channel or "")


def _past(moment: datetime | None, now: datetime) -> datetime | None:
    """Return an instant, now if it lies ahead by more than rounding: a wrong clock silences nothing."""
    return rounded_up(now) if moment is not None and lies_ahead(moment, now) else moment


def _written(moment: datetime | None) -> str | None:
    return write_instant(moment) if moment is not None else None


def state_counts(alerts: Iterable[Entry]) -> tuple[int, int]:
    """Return how many are firing and how many pending."""
    states = [entry.standing.state for entry in alerts]
    return states.count(AlertState.FIRING), states.count(AlertState.PENDING)
