"""When a status is worth a write to the API server: each is an etcd write and an event for all watchers.

Transitions at once, counts of sidecars after a second, figures after fifteen, timestamps never by themselves.
"""

from typing import Final, TypeVar

from cliproxy_api.resources.alertrule import AlertRuleStatus
from cliproxy_api.resources.cooldownpolicy import CooldownPolicyStatus
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.resources.proxyprofile import ProxyProfileStatus

PROGRESS_INTERVAL_S: Final = 1.0
"""Between two writes that only tell how many sidecars have synced: a roll-out is not 500 writes."""
FIGURES_INTERVAL_S: Final = 15.0
"""Between two writes that only tell figures."""

Status = LLMProviderStatus | CooldownPolicyStatus | ProxyProfileStatus | AlertRuleStatus
S = TypeVar("S", LLMProviderStatus, CooldownPolicyStatus, ProxyProfileStatus, AlertRuleStatus)


def worth_writing(previous: S | None, new: S, *, last_write: float | None, now: float) -> float | None:
    """Return when to write `new` over `previous` (what the API server holds); None: not at all.

    Instants are monotonic seconds; at most `now` means now. `last_write` is when this object's status was
    last written by us, None if it never was. A later merge may change the answer: ask again at each.
    """
    raise NotImplementedError
