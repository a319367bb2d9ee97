"""Status of CooldownPolicy, ProxyProfile and AlertRule: accepted or not, who is concerned.

An AlertRule's evaluation is not this module's: its `state` and `providers` are passed on.
"""

from datetime import datetime

from cliproxy_api.resources.alertrule import AlertRuleStatus
from cliproxy_api.resources.cooldownpolicy import CooldownPolicyStatus
from cliproxy_api.resources.proxyprofile import ProxyProfileStatus
from cliproxy_operator.validate import Diagnostic
from cliproxy_operator.view import PolicyView, ProfileView


def merge_policy_status(
    previous: CooldownPolicyStatus | None,
    *,
    generation: int,
    diagnostics: tuple[Diagnostic, ...],
    view: PolicyView,
    now_utc: datetime,
) -> CooldownPolicyStatus:
    """Return a CooldownPolicy's status; as `merge_provider_status`."""
    raise NotImplementedError


def merge_profile_status(
    previous: ProxyProfileStatus | None,
    *,
    generation: int,
    diagnostics: tuple[Diagnostic, ...],
    view: ProfileView,
    now_utc: datetime,
) -> ProxyProfileStatus:
    """Return a ProxyProfile's status; as `merge_provider_status`."""
    raise NotImplementedError


def merge_alertrule_status(
    previous: AlertRuleStatus | None,
    *,
    generation: int,
    diagnostics: tuple[Diagnostic, ...],
    now_utc: datetime,
) -> AlertRuleStatus:
    """Return an AlertRule's status; as `merge_provider_status`."""
    raise NotImplementedError
