"""The report on money as the operator's API tells it: from status as the leader sees it now."""

from datetime import datetime
from typing import Any

from cliproxy_api.costs.report import cost_report
from cliproxy_api.costs.spent import ConsumerTotals, ProviderSpent, consumers_spent, provider_spent
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.resources.proxyprofile import ProxyProfile, ProxyProfileStatus
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.kinds import PROFILE, PROVIDER
from cliproxy_operator.wiring import Operator


def spend_report(operator: Operator, namespace: str | None, now_utc: datetime) -> dict[str, Any]:
    """Return the report of one namespace, or of all; live figures at the leader, else those last written."""
    today = now_utc.date()
    providers: list[ProviderSpent] = []
    consumers: list[ConsumerTotals] = []
    for kind, resource in ((Kind.LLM_PROVIDER, PROVIDER), (Kind.PROXY_PROFILE, PROFILE)):
        for owner, name in operator.replica.store.keys(resource):
            if namespace not in (None, owner):
                continue
            key = ObjectKey(kind, owner, name)
            one = operator.replica.gatherer.one(key)
            status = operator.statuses.now(key) if operator.replica.leader.may_write() else None
            if isinstance(one, LLMProvider):
                told = status if isinstance(status, LLMProviderStatus) else one.status
                providers.append(provider_spent(owner, name, one.spec, told.cost, today))
            elif isinstance(one, ProxyProfile):
                shown = status if isinstance(status, ProxyProfileStatus) else one.status
                consumers.extend(consumers_spent(owner, name, shown.consumers, today))
    return cost_report(providers, consumers, now_utc)
