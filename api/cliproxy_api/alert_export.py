"""An AlertRule as a PrometheusRule of the Prometheus operator: values in, object out.

Who is told is left to Alertmanager's routes then: channels, grouping and repeatInterval have no counterpart
in a rule. The query is `alert_promql`'s; writing the object is the operator's, or a person's.
Source: the PrometheusRule API of the Prometheus operator 0.80 (read 2026-11-21); `keep_firing_for` needs
Prometheus 2.42.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from cliproxy_api.alert_condition import ConditionError, parse_condition
from cliproxy_api.alert_promql import NotExpressibleError, to_promql
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.llmprovider import LLMProvider

API_VERSION: Final = "monitoring.coreos.com/v1"
KIND: Final = "PrometheusRule"
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "cliproxy-operator"}
MAX_NAME: Final = 253
_PREFIX: Final = "cliproxy-"


def rule_name(alert_rule: str) -> str:
    """Return the PrometheusRule's name: the rule's own behind a prefix; a digest ends what is too long."""
    name = _PREFIX + alert_rule
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 9]}-{sha256(alert_rule.encode()).hexdigest()[:8]}"


def selected(rule: AlertRule, providers: Iterable[LLMProvider]) -> frozenset[str] | None:
    """Return the providers of the rule's namespace that it is for; None: all of them, whatever comes."""
    theirs = [one for one in providers if one.metadata.namespace == rule.metadata.namespace]
    matches = rule.spec.provider_selector.matches
    chosen = {one.metadata.name for one in theirs if one.spec.enabled and matches(one.metadata.labels)}
    every = not (rule.spec.provider_selector.match_labels or rule.spec.provider_selector.match_expressions)
    return None if every and len(chosen) == len(theirs) else frozenset(chosen)


def groups(rule: AlertRule, providers: frozenset[str] | None) -> list[dict[str, Any]]:
    """Return the groups of a Prometheus rule file; none while the rule is suspended, as it tells nobody then.

    Raises:
        NotExpressibleError: the condition has no PromQL of the same meaning, or is none at all.

    """
    expression = parse_condition(rule.spec.condition)
    if isinstance(expression, ConditionError):
        raise NotExpressibleError(f"spec.condition: {expression}")
    query = to_promql(expression, namespace=rule.metadata.namespace, providers=providers)
    if rule.spec.suspend:
        return []
    namespace = rule.metadata.namespace
    where = f"{namespace}/{rule.metadata.name}"
    one: dict[str, Any] = {"alert": rule.metadata.name, "expr": query}
    if parse_duration_s(rule.spec.duration):
        one["for"] = rule.spec.duration
    if parse_duration_s(rule.spec.resolve.after):
        one["keep_firing_for"] = rule.spec.resolve.after
    one["labels"] = {"severity": rule.spec.severity.value, "namespace": namespace}
    one["annotations"] = {
        "summary": f"{where}: {{{{ $labels.provider }}}}",
        "description": f"AlertRule {where} holds for provider {{{{ $labels.provider }}}}; "
        "the first figure of its condition is {{ $value }}.",
        "condition": _untemplated(rule.spec.condition),
        "lookFurther": f"kubectl describe llmprovider -n {namespace} {{{{ $labels.provider }}}}",
    }
    return [{"name": f"cliproxy/{where}", "rules": [one]}]


def prometheus_rule(rule: AlertRule, providers: frozenset[str] | None) -> dict[str, Any]:
    """Return the whole object, without an owner.

    Raises:
        NotExpressibleError: as `groups`.

    """
    name, namespace = rule_name(rule.metadata.name), rule.metadata.namespace
    metadata: Mapping[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": dict(MANAGED_BY),
        "annotations": {"cliproxy.io/alertrule": rule.metadata.name},
    }
    spec = {"groups": groups(rule, providers)}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def _untemplated(text: str) -> str:
    """Return text that Prometheus' templates leave alone: conditions hold no braces, but who knows."""
    return text.replace("{{", "{ {")
