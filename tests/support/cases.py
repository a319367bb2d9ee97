"""Golden cases: objects and what the fleet knows, as YAML -> what the operator makes of them, as plain data.

One case is one namespace at one instant. `in.yaml` has `objects` (as users write them, with status if there
was one), `secrets`, `profiles` (asked for by pods), `fleet` (per provider or profile) and `now`.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import yaml

from cliproxy_api.resources.alertrule import AlertRuleStatus
from cliproxy_api.resources.common import to_wire
from cliproxy_api.resources.cooldownpolicy import CooldownPolicyStatus
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.llmprovider_status import LLMProviderStatus
from cliproxy_api.resources.parse import parse
from cliproxy_api.resources.proxyprofile import ProxyProfileStatus
from cliproxy_operator.compile import Compiled, compile_namespace
from cliproxy_operator.events import object_events, provider_events
from cliproxy_operator.inputs import AddressRules, Inputs, Kind, ObjectKey, SecretView, key_of
from cliproxy_operator.status.alertrule import merge_alertrule_status
from cliproxy_operator.status.others import merge_policy_status, merge_profile_status
from cliproxy_operator.status.provider import merge_provider_status
from cliproxy_operator.view import PolicyView, ProfileView, ProviderView

Plain = dict[str, Any]
_STATUSES: dict[Kind, Any] = {
    Kind.LLM_PROVIDER: LLMProviderStatus,
    Kind.COOLDOWN_POLICY: CooldownPolicyStatus,
    Kind.PROXY_PROFILE: ProxyProfileStatus,
    Kind.ALERT_RULE: AlertRuleStatus,
}
_FIELDS = {
    Kind.LLM_PROVIDER: "providers",
    Kind.COOLDOWN_POLICY: "policies",
    Kind.PROXY_PROFILE: "profiles",
    Kind.ALERT_RULE: "alert_rules",
}


def read_case(path: Path) -> Plain:
    """Return a case as it stands in its file; dates stay text."""
    loaded: Plain = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 -- text only
    typed: Plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    # Copied entry by entry: what an anchor shares in the file, objects do not share.
    return {**_stringed(typed), "now": loaded["now"]}


def inputs_of(case: Plain) -> Inputs:
    """Return the compiler's inputs of a case."""
    objects: dict[str, list[Any]] = {field: [] for field in _FIELDS.values()}
    for body in case.get("objects", []):
        objects[_FIELDS[Kind(body["kind"])]].append(parse(body["kind"], _stringed(body)))
    return Inputs(
        namespace=case.get("namespace", "team"),
        namespace_labels=case.get("namespaceLabels", {}),
        secrets={
            tuple(name.split("/")): SecretView(keys) if keys is not None else None
            for name, keys in case.get("secrets", {}).items()
        },
        profile_names=frozenset(case.get("profiles", [])),
        addresses=msgspec.convert(case.get("addresses", {}), AddressRules),
        **{field: tuple(entries) for field, entries in objects.items()},
    )


def outcome_of(case: Plain) -> Plain:
    """Return snapshots, diagnostics, statuses and events of a case."""
    inputs = inputs_of(case)
    compiled = compile_namespace(inputs)
    now = datetime.fromisoformat(case["now"])
    told = {
        f"{key.kind} {key.name}": [f"{one.severity} {one.reason}: {one}" for one in diagnostics]
        for key, diagnostics in compiled.diagnostics.items()
        if diagnostics
    }
    entries = [(kind, entry) for kind, field in _FIELDS.items() for entry in getattr(inputs, field)]
    written = {(body["kind"], body["metadata"]["name"]): body.get("status") for body in case["objects"]}
    statuses = {
        f"{kind} {entry.metadata.name}": _status(
            kind,
            entry,
            written.get((kind, entry.metadata.name)),
            case.get("fleet", {}),
            compiled=compiled,
            now=now,
        )
        for kind, entry in entries
        if entry.metadata.namespace == inputs.namespace
    }
    return {
        "diagnostics": told,
        "missingProfiles": sorted(compiled.missing_profiles),
        "policyUsers": {key.name: list(names) for key, names in sorted(compiled.policy_users.items())},
        "snapshots": {
            name or "(default)": msgspec.to_builtins(snapshot)
            for name, snapshot in sorted(compiled.snapshots.items())
        },
        "statuses": statuses,
    }


def _status(
    kind: Kind,
    entry: Any,
    written: Any,
    fleet: Mapping[str, Plain],
    *,
    compiled: Compiled,
    now: datetime,
) -> Plain:
    key = key_of(kind, entry)
    common = {
        "generation": entry.metadata.generation,
        "diagnostics": compiled.diagnostics[key],
        "now_utc": now,
    }
    previous = _previous(kind, written)
    view = fleet.get(key.name, {})
    status: Any
    match kind:
        case Kind.LLM_PROVIDER:
            enabled = not isinstance(entry, LLMProvider) or entry.spec.enabled
            seen = provider_view(key, view, compiled)
            status = merge_provider_status(previous, enabled=enabled, view=seen, **common)
            events = provider_events(previous, status)
        case Kind.COOLDOWN_POLICY:
            users = compiled.policy_users[key]
            policy = PolicyView(
                providers=users,
                active_cooldowns=sum(len(fleet.get(name, {}).get("cooldowns", [])) for name in users),
            )
            status = merge_policy_status(previous, view=policy, **common)
        case Kind.PROXY_PROFILE:
            status = merge_profile_status(previous, view=msgspec.convert(view, ProfileView), **common)
        case Kind.ALERT_RULE:
            status = merge_alertrule_status(previous, alerts=None, **common)
    if kind is not Kind.LLM_PROVIDER:
        events = object_events(previous.conditions if previous else (), status.conditions)
    shown = to_wire(status)
    if events:
        shown["(events)"] = [f"{event.type} {event.reason}: {event.message}" for event in events]
    return shown


def _previous(kind: Kind, written: Any) -> Any:
    """Return the status as the API server holds it; None if there is none or it cannot be read."""
    try:
        return msgspec.convert(_stringed(written), _STATUSES[kind]) if written else None
    except msgspec.ValidationError:
        return None


def provider_view(key: ObjectKey, plain: Plain, compiled: Compiled) -> ProviderView:
    """Return a provider's view from plain data, with the provider as compiled."""
    cooldowns = [
        {"level": 0, **one, "scope": {"provider": key.id, **one.get("scope", {})}}
        for one in plain.get("cooldowns", [])
    ]
    view = {**plain, "cooldowns": cooldowns, "provider": None}
    converted = msgspec.convert(_stringed(view), ProviderView, strict=False)
    return ProviderView(
        provider=compiled.providers.get(key.id),
        cooldowns=converted.cooldowns,
        local_cooldowns=converted.local_cooldowns,
        health=converted.health,
        traffic=converted.traffic,
        sidecars=converted.sidecars,
        reported=converted.reported,
    )


def _stringed(value: Any) -> Any:
    """Write dates back as text: YAML reads them as dates, JSON has none."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: _stringed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_stringed(entry) for entry in value]
    return value
