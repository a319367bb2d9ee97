"""An object of ours that is about to be stored -> allowed, or refused: what is wrong, where, what to do.

The rules are `validate.py`'s, the same that the compiler goes by. What was wrong before is not held against
a change (so a stricter release blocks nobody's finalizers, labels or mending step by step), and objects on
their way out pass.
"""

from collections.abc import Mapping
from typing import Any, Final

from cliproxy_api.kinds import is_namespace
from cliproxy_api.resources.parse import PLURALS, ParseFailure, Resource, parse
from cliproxy_operator.admission.review import Answer, Request
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.validate import Diagnostic, Severity, validate

JUDGED: Final = frozenset({"CREATE", "UPDATE"})
NAMED: Final = 5
"""Faults spelt out in one answer."""
_TO_BE_NAMED: Final = "to-be-named"


def astray(request: Request) -> str:
    """Return what is wrong about the namespace of a question that no API server asks; empty: nothing is.

    An API server brings an object and the namespace it is put into together before it asks.
    """
    if not is_namespace(request.namespace):
        return f"{request.namespace[:80]!r} is no namespace"
    for raw in (request.object, request.old_object):
        own = ((raw or {}).get("metadata") or {}).get("namespace")
        if own and own != request.namespace:
            return f"metadata.namespace: {str(own)[:80]!r} is not the namespace asked about"
    return ""


def admit_object(request: Request, addresses: AddressRules) -> tuple[Answer, Resource | None]:
    """Return the answer, and the object itself if it is worth a look for doubts."""
    raw = request.object
    if request.kind.kind not in PLURALS or request.operation not in JUDGED or raw is None:
        return Answer(), None
    if (raw.get("metadata") or {}).get("deletionTimestamp"):
        return Answer(), None
    old = request.old_object if request.operation == "UPDATE" else None
    if old is not None and old.get("spec") == raw.get("spec"):
        return Answer(), None
    entry, found = _judge(request, raw, addresses)
    if not found:
        return Answer(), entry
    known = frozenset(_judge(request, old, addresses)[1]) if old is not None else frozenset()
    fresh = [fault for fault in found if fault not in known]
    if fresh:
        return Answer(allowed=False, message=_sentence(fresh)), None
    warnings = tuple(f"{fault} (as it was before; the object is not in force)" for fault in found)
    return Answer(warnings=warnings), None


def _judge(
    request: Request, raw: Mapping[str, Any], addresses: AddressRules
) -> tuple[Resource | None, list[Diagnostic]]:
    metadata = dict(raw.get("metadata") or {})
    if not metadata.get("name"):
        metadata["name"] = request.name or _TO_BE_NAMED  # generateName: the API server will see to it
    metadata["namespace"] = metadata.get("namespace") or request.namespace
    entry = parse(request.kind.kind, {**raw, "metadata": metadata})
    found = [one for one in validate(entry, addresses) if one.severity is Severity.ERROR]
    return (None if isinstance(entry, ParseFailure) else entry), found


def _sentence(faults: list[Diagnostic]) -> str:
    told = "; ".join(str(fault) for fault in faults[:NAMED])
    return told if len(faults) <= NAMED else f"{told}; and {len(faults) - NAMED} more"
