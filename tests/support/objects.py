"""Objects as the API server would hand them over, parsed; and the inputs made of them."""

from typing import Any

from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.parse import ParseFailure, parse_as
from cliproxy_api.resources.proxyprofile import ProxyProfile
from cliproxy_operator.inputs import Inputs, SecretView

NAMESPACE = "team"
KEYS = {"api-key": "d1"}


def metadata(name: str, namespace: str = NAMESPACE, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}", "generation": 1, **more}


def llm(
    name: str = "claude", *, namespace: str = NAMESPACE, meta: dict[str, Any] | None = None, **spec: Any
) -> LLMProvider:
    """Return an Anthropic provider with one key and one model, with these fields of spec changed."""
    plain = {
        "type": "anthropic",
        "credentials": [{"name": "main", "secretRef": {"name": "keys", "key": "api-key"}}],
        "models": [{"name": "sonnet"}],
    }
    parsed = parse_as(
        LLMProvider, {"metadata": metadata(name, namespace, **(meta or {})), "spec": {**plain, **spec}}
    )
    assert isinstance(parsed, LLMProvider), parsed
    return parsed


def broken(name: str = "broken", *, namespace: str = NAMESPACE) -> ParseFailure:
    """Return what becomes of a provider without models."""
    parsed = parse_as(LLMProvider, {"metadata": metadata(name, namespace), "spec": {"type": "openai"}})
    assert isinstance(parsed, ParseFailure)
    return parsed


def policy(
    name: str = "strict", *, namespace: str = NAMESPACE, created: str | None = None, **spec: Any
) -> CooldownPolicy:
    more = {"creationTimestamp": created} if created is not None else {}
    parsed = parse_as(CooldownPolicy, {"metadata": metadata(name, namespace, **more), "spec": spec})
    assert isinstance(parsed, CooldownPolicy), parsed
    return parsed


def profile(name: str = "gold", **spec: Any) -> ProxyProfile:
    parsed = parse_as(ProxyProfile, {"metadata": metadata(name), "spec": spec})
    assert isinstance(parsed, ProxyProfile), parsed
    return parsed


def alert(name: str = "errors", **spec: Any) -> AlertRule:
    plain = {
        "condition": "error_rate > 5%",
        "notifications": [{"name": "hook", "webhook": {"url": "http://a/hook"}}],
    }
    parsed = parse_as(AlertRule, {"metadata": metadata(name), "spec": {**plain, **spec}})
    assert isinstance(parsed, AlertRule), parsed
    return parsed


def inputs(*entries: Any, **more: Any) -> Inputs:
    """Return inputs of namespace "team" with these objects, and Secrets "keys" in team and platform."""
    by_type: dict[str, list[Any]] = {"providers": [], "policies": [], "profiles": [], "alert_rules": []}
    for entry in entries:
        match entry:
            case CooldownPolicy():
                by_type["policies"].append(entry)
            case ProxyProfile():
                by_type["profiles"].append(entry)
            case AlertRule():
                by_type["alert_rules"].append(entry)
            case _:
                by_type["providers"].append(entry)
    secrets = {(namespace, "keys"): SecretView(KEYS) for namespace in (NAMESPACE, "platform")}
    given: dict[str, Any] = {"namespace": NAMESPACE, "secrets": secrets, **more}
    given |= {name: tuple(found) for name, found in by_type.items()}
    return Inputs(**given)


def alert_rule(name: str = "failing", *, meta: dict[str, Any] | None = None, **spec: Any) -> AlertRule:
    """Return a rule on error_rate with one webhook, with these fields of spec changed."""
    plain = {
        "condition": "error_rate > 5%",
        "notifications": [{"name": "hook", "webhook": {"url": "http://127.0.0.1:9/hook"}}],
    }
    parsed = parse_as(AlertRule, {"metadata": metadata(name, **(meta or {})), "spec": {**plain, **spec}})
    assert isinstance(parsed, AlertRule), parsed
    return parsed
