"""A rule's alerts driven by hand: verdicts in, messages out, and what each channel came to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cliproxy_api.resources.alertrule import AlertRule, AlertRuleStatus
from cliproxy_api.vocabulary import AlertState, Delivery
from cliproxy_operator.alerts.owed import Owed
from cliproxy_operator.alerts.restoring import channel_statuses, provider_alerts, restore
from cliproxy_operator.alerts.rule import RuleAlerts, Told
from support.objects import alert_rule

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
BAD, GOOD = {"error_rate": 0.5}, {"error_rate": 0.0}
UNKNOWN: dict[str, Any] = {"error_rate": None}


@dataclass
class Play:
    """One rule; `at` moves the time, `sent` keeps (channel, provider, fires, when) of what was delivered."""

    rule: AlertRule = field(default_factory=alert_rule)
    now: datetime = START
    sent: list[tuple[str, str, bool, datetime]] = field(default_factory=list)
    messages: int = 0

    def __post_init__(self) -> None:
        self.alerts = RuleAlerts(self.rule.spec, self.rule.metadata.generation)

    def at(self, seconds: float, **providers: dict[str, Any]) -> Play:
        """Move to START + seconds and judge."""
        self.now = START + timedelta(seconds=seconds)
        self.alerts.judge(providers, self.now)
        return self

    def deliver(self, channel: str = "hook", result: Delivery = Delivery.DELIVERED) -> Owed | None:
        """Tell a channel what it is owed, if anything is due."""
        message = self.alerts.owed(channel, self.now)
        if not isinstance(message, Owed):
            return None
        self.alerts.tried(channel, self.now)
        why = "answered 500" if result is Delivery.FAILED else ""
        self.alerts.settle(channel, message, Told(self.now, result, why))
        if result is Delivery.DELIVERED and message.any:
            self.messages += 1
            self.sent += [(channel, name, True, self.now) for name in message.firing]
            self.sent += [(channel, name, False, self.now) for name in message.over]
        return message

    def state(self, provider: str = "a") -> AlertState:
        return self.alerts.entries[provider].standing.state

    def status(self) -> AlertRuleStatus:
        return AlertRuleStatus(
            observed_generation=self.alerts.generation,
            providers=provider_alerts(self.alerts),
            channels=channel_statuses(self.alerts),
        )

    def restart(self) -> Play:
        """Be another leader that knows what status says."""
        status = self.status()
        self.alerts = RuleAlerts(self.rule.spec, self.rule.metadata.generation)
        restore(self.alerts, status, self.now)
        return self
