"""ProxyProfile: what must hold across its fields."""

from typing import Final

from cliproxy_api.resources.rule import Rule, limit_rule, selector_rules
from cliproxy_api.vocabulary import FailoverMode

RULES: Final = (
    *selector_rules("spec.providerSelector"),
    Rule(
        "spec.failover",
        "backupURL is required unless mode is none",
        lambda failover: failover.mode is FailoverMode.NONE or failover.backup_url is not None,
        field="backupURL",
    ),
    limit_rule("spec.consumers[].rateLimit"),
    Rule(
        "spec.consumers[].budget",
        "daily, weekly or monthly must be set",
        lambda budget: any(one is not None for one in (budget.daily, budget.weekly, budget.monthly)),
    ),
    Rule(
        "spec.faultInjection",
        "abort or delay must be set",
        lambda faults: faults.abort is not None or faults.delay is not None,
    ),
)
