"""An AlertRule's condition in PromQL, with the same meaning: checked expression -> one query, or why not.

Sums over all sidecars, one series per provider. What is not known is no series here as it is no verdict
there, and `!` is pushed down to the comparisons, so that three-valued logic comes out the same. Figures that
Prometheus estimates (it extrapolates counters to the range's ends) are not compared for equality. What the
rule around the query looks like is `alert_export`'s.
"""

import re
from collections.abc import Collection
from typing import Final, assert_never

from cliproxy_api.alert_condition import All, AnyOf, Comparison, Expression, Not

RANGE: Final = "1m"
"""Conditions speak of the last minute. Needs two scrapes in it: every 30 s at most, better 15 s."""

_ATTEMPTS: Final = "sum by (provider) (increase(cliproxy_provider_attempts_total{%s}[1m]))"
_FAILURES: Final = "sum by (provider) (increase(cliproxy_provider_failures_total{%s}[1m]))"
_LATENCY: Final = (
    "histogram_quantile(%s, sum by (provider, le) "
    "(rate(cliproxy_provider_attempt_duration_seconds_bucket{%s}[1m])))"
)

_COUNTED: Final = {
    "rate_limit_count": (_FAILURES, 'reason="rate_limited"'),
    "authentication_failures": (_FAILURES, 'reason="key_refused"'),
    "requests_per_minute": (_ATTEMPTS, ""),
    "tokens_per_minute": ("sum by (provider) (increase(cliproxy_provider_tokens_total{%s}[1m]))", ""),
    "cost_per_hour": ("sum by (provider) (increase(cliproxy_provider_cost_usd_total{%s}[1m])) * 60", ""),
}
"""Estimated from counters of the sidecars."""
_QUANTILES: Final = {"p50_latency": "0.5", "p95_latency": "0.95", "p99_latency": "0.99"}
_GAUGES: Final = {
    "cooldown_count": "cliproxy_provider_cooldowns",
    "quota_remaining_ratio": "cliproxy_provider_quota_remaining_ratio",
    "budget_used_ratio": "cliproxy_provider_budget_used_ratio",
    "cache_hit_ratio": "cliproxy_provider_cache_hit_ratio",
    "sidecars_unsynced": "cliproxy_provider_sidecars_unsynced",
}
"""The leading operator's own figures, exact."""
_PHASES: Final = {
    "healthy": "Healthy",
    "degraded": "Degraded|CoolingDown",
    "unhealthy": "Unhealthy|Misconfigured",
    "unknown": "Unknown",
}
_OPPOSITE: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


class NotExpressibleError(ValueError):
    """The condition has no PromQL that means the same: the user's to change; the message says what."""


def to_promql(expression: Expression, *, namespace: str, providers: Collection[str] | None = None) -> str:
    """Return the query that has one series, labelled `provider`, for each provider the condition holds for.

    `providers` are the names that the rule is for; None: all of the namespace.

    Raises:
        NotExpressibleError: a comparison that PromQL cannot make exactly.

    """
    return _query(expression, _matchers(namespace, providers), negated=False)


def _query(expression: Expression, match: str, *, negated: bool) -> str:
    terms: tuple[Expression, ...]
    match expression:
        case Comparison():
            return _comparison(expression, match, negated=negated)
        case Not():
            return _query(expression.term, match, negated=not negated)
        case All():
            terms, word = expression.terms, "or" if negated else "and"
        case AnyOf():
            terms, word = expression.terms, "and" if negated else "or"
        case _:
            assert_never(expression)
    return f" {word} ".join(f"({_query(term, match, negated=negated)})" for term in terms)


def _comparison(one: Comparison, match: str, *, negated: bool) -> str:
    operator = _OPPOSITE[one.operator] if negated else one.operator
    if isinstance(one.value, bool):
        out = one.value == (operator == "==")
        return f"{_gauge('cliproxy_provider_cooldowns', match)} {'> 0' if out else '== 0'}"
    if isinstance(one.value, str):
        chosen = f'{match}, phase=~"{_PHASES[one.value]}"'
        return f"{_gauge('cliproxy_provider_phase', chosen)} == {int(operator == '==')}"
    gauge = _GAUGES.get(one.metric)
    if gauge is not None:
        return f"{_gauge(gauge, match)} {operator} {one.value:.12g}"
    if one.operator in ("==", "!=") and (one.value or one.metric in _QUANTILES):
        raise NotExpressibleError(
            f"{one.metric} {one.operator} {one.value:.12g} has no equal in PromQL, where that is estimated; "
            "compare with <, <=, > or >="
        )
    return f"{_estimate(one.metric, match)} {operator} {one.value:.12g}"


def _estimate(metric: str, match: str) -> str:
    if metric == "error_rate":
        return f"{_FAILURES % match} / ({_ATTEMPTS % match} > 0)"
    if metric in _QUANTILES:
        return _LATENCY % (_QUANTILES[metric], match)
    query, more = _COUNTED[metric]
    return query % (f"{match}, {more}" if more else match)


def _gauge(name: str, match: str) -> str:
    return f"max by (provider) ({name}{{{match}}})"


def _matchers(namespace: str, providers: Collection[str] | None) -> str:
    where = f'provider_namespace="{namespace}"'
    if providers is None:
        return where
    # Names are DNS names, so only their dots mean anything; no name at all matches nothing of ours.
    names = "|".join(re.escape(name).replace("\\-", "-") for name in sorted(providers))
    return f'{where}, provider=~"{names}"'.replace("\\", "\\\\")
