"""Judges a parsed resource by the rules that its types cannot say, and names what breaks them.

The rules of each kind stand beside its types (`resources/*_rules.py`); here they are applied, together with
what holds for every field of a sort: bounds of durations, real dates, entries that differ in their key.
The same is CEL or schema in `crds/`, so that servers that know CEL refuse such objects at once; old servers
store them, and the operator reports them. Only an alert's condition is beyond CEL. Rules across objects are
the operator's.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from cliproxy_api.alert_condition import ConditionError, parse_condition
from cliproxy_api.durations import parse_duration_s
from cliproxy_api.resources import (
    alertrule_rules,
    cooldownpolicy_rules,
    llmprovider_rules,
    proxyprofile_rules,
)
from cliproxy_api.resources.alertrule import AlertRule
from cliproxy_api.resources.explain import Problem as Violation
from cliproxy_api.resources.explain import child
from cliproxy_api.resources.parse import Resource
from cliproxy_api.resources.rule import Rule
from cliproxy_api.resources.shape import Shape, shape_of

__all__ = ["RULES", "Violation", "timespan_message", "violations"]

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "LLMProvider": llmprovider_rules.RULES,
    "CooldownPolicy": cooldownpolicy_rules.RULES,
    "AlertRule": alertrule_rules.RULES,
    "ProxyProfile": proxyprofile_rules.RULES,
}
_STEP: Final = re.compile(r"\.?([A-Za-z0-9]+|\[\]|\{\})")


def violations(resource: Resource) -> list[Violation]:
    """Return what the object breaks, sorted by path; empty: it is acceptable on its own."""
    found = list(_fields(shape_of(type(resource.spec)), msgspec.to_builtins(resource.spec), "spec"))
    for rule in RULES[type(resource).__name__]:
        for path, value in _at(resource, rule.at):
            if not rule.holds(value):
                found.append(Violation(child(path, rule.field) if rule.field else path, rule.message))
    if isinstance(resource, AlertRule):
        condition = parse_condition(resource.spec.condition)
        if isinstance(condition, ConditionError):
            found.append(Violation("spec.condition", str(condition)))
    return sorted(found, key=lambda one: one.path)


def timespan_message(at_least: str, at_most: str) -> str:
    """Return the sentence about a duration's bounds, the same in `crds/`."""
    return f"must be at least {at_least} and at most {at_most}"


def _fields(shape: Shape, value: Any, path: str) -> Iterator[Violation]:
    if isinstance(value, dict):
        for key, entry in value.items():
            below = shape.entries or shape.properties[key]
            yield from _fields(below, entry, child(path, key))
    elif isinstance(value, list | tuple) and shape.entries:
        yield from _duplicates(shape, value, path)
        for number, entry in enumerate(value):
            yield from _fields(shape.entries, entry, f"{path}[{number}]")
    elif isinstance(value, str):
        yield from _text(shape, value, path)


def _text(shape: Shape, value: str, path: str) -> Iterator[Violation]:
    if "x-at-least" in shape.bounds:
        low, high = shape.bounds["x-at-least"], shape.bounds["x-at-most"]
        if not parse_duration_s(low) <= parse_duration_s(value) <= parse_duration_s(high):
            yield Violation(path, timespan_message(low, high))
    if shape.bounds.get("format") == "date-time" and not _is_real(value):
        yield Violation(path, "must be a date and time that exist, such as 2026-11-30T12:00:00Z")


def _duplicates(shape: Shape, entries: Sequence[Any], path: str) -> Iterator[Violation]:
    seen = set()
    for key in shape.bounds.get("x-kubernetes-list-map-keys", ()):
        for number, entry in enumerate(entries):
            if entry[key] in seen:
                yield Violation(f"{path}[{number}].{key}", f"is there already: {entry[key]!r} must be unique")
            seen.add(entry[key])


def _is_real(instant: str) -> bool:
    try:
        datetime.fromisoformat(instant)
    except ValueError:
        return False
    return True


def _at(resource: Resource, at: str) -> Iterator[tuple[str, Any]]:
    nodes: list[tuple[str, Any]] = [("", resource)]
    for step in _STEP.findall(at):
        nodes = [below for path, value in nodes for below in _step(path, value, step)]
    return iter(nodes)


def _step(path: str, value: Any, step: str) -> Iterator[tuple[str, Any]]:
    if step == "[]":
        yield from ((f"{path}[{number}]", entry) for number, entry in enumerate(value))
    elif step == "{}":
        yield from ((child(path, str(key)), entry) for key, entry in value.items())
    else:
        entry = getattr(value, _attribute(value, step))
        if entry is not None:
            yield child(path, step).removeprefix("."), entry


def _attribute(value: msgspec.Struct, name: str) -> str:
    return value.__struct_fields__[value.__struct_encode_fields__.index(name)]
