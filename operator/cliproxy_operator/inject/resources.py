"""The sidecar container's requests and limits: the template's, changed by the pod's annotations.

A bad annotation must not keep the pod from starting: it is left out and told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cliproxy_operator.inject.quantity import parse_quantity
from cliproxy_operator.inject.template import Template

PREFIX: Final = "cliproxy.io/"
MIN_MEMORY: Final = "32Mi"
"""With less the process does not come up; `100m` of memory is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """One resource's request and limit; an empty limit is none."""

    request: str
    limit: str


def resources(template: Template, annotations: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the container's `resources`, and what was wrong with the annotations."""
    told: list[str] = []
    cpu = _amounts("cpu", Amounts(template.cpu_request, template.cpu_limit), annotations, told)
    memory = _amounts("memory", Amounts(template.memory_request, template.memory_limit), annotations, told)
    made: dict[str, Any] = {"requests": {"cpu": cpu.request, "memory": memory.request}}
    limits = {name: it.limit for name, it in (("cpu", cpu), ("memory", memory)) if it.limit}
    return (made | {"limits": limits} if limits else made), told


def _amounts(resource: str, default: Amounts, annotations: Mapping[str, str], told: list[str]) -> Amounts:
    request = _read(resource, "request", annotations, told)
    limit = _read(resource, "limit", annotations, told)
    if request and limit and parse_quantity(request) > parse_quantity(limit):
        told.append(
            f"{PREFIX}{resource}-request {request} is more than {PREFIX}{resource}-limit {limit};"
            " both are left out"
        )
        return default
    # The API server refuses a request above its limit: what the pod says moves what it leaves open.
    if request and not limit and default.limit and parse_quantity(request) > parse_quantity(default.limit):
        limit = request
    if limit and not request and parse_quantity(default.request) > parse_quantity(limit):
        request = limit
    return Amounts(request or default.request, limit or default.limit)


def _read(resource: str, what: str, annotations: Mapping[str, str], told: list[str]) -> str:
    name = f"{PREFIX}{resource}-{what}"
    text = annotations.get(name, "").strip()
    if not text:
        return ""
    try:
        amount = parse_quantity(text)
    except ValueError as error:
        told.append(f"{name}: {error}; the default is used")
        return ""
    if (fault := _fault(resource, amount)) is not None:
        told.append(f"{name}: {text} {fault}; the default is used")
        return ""
    return text


def _fault(resource: str, amount: Decimal) -> str | None:
    if resource == "memory" and amount < parse_quantity(MIN_MEMORY):
        return f"is less than the {MIN_MEMORY} that a sidecar needs"
    if amount == 0:
        return "is nothing"
    return None
