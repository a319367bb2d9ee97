"""AlertRule: what must hold across its fields."""

from typing import Final

from cliproxy_api.resources.alertrule import Notification
from cliproxy_api.resources.rule import Rule, all_keys, selector_rules


def _one_receiver(channel: Notification) -> bool:
    receivers = (channel.slack, channel.email, channel.pagerduty, channel.webhook, channel.alertmanager)
    return sum(one is not None for one in receivers) == 1


RULES: Final = (
    *selector_rules("spec.providerSelector"),
    Rule(
        "spec.notifications[]",
        "exactly one of slack, email, pagerduty, webhook and alertmanager must be set",
        _one_receiver,
    ),
    Rule(
        "spec.notifications[].email",
        "username and passwordSecretRef must be set together",
        lambda email: (email.username is None) == (email.password_secret_ref is None),
        field="username",
    ),
    Rule(
        "spec.notifications[].alertmanager.labels",
        "label names are letters, digits and '_', and do not begin with a digit",
        all_keys(r"[A-Za-z_][A-Za-z0-9_]*"),
    ),
)
