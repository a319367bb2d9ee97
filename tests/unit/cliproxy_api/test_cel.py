"""The CRDs' CEL rules, run by an independent CEL library, give the corpus the types' verdict.

The API server that the cluster tests can always build knows no CEL, so this is where the rules are executed.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cliproxy_dev.crds import load_sources
from support import corpus

celpy = pytest.importorskip("celpy", reason="cel-python is not installed")

SCHEMAS: dict[str, dict[str, Any]] = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in load_sources()
}
ENVIRONMENT = celpy.Environment()


def is_sorted(entries: Any) -> Any:
    """Kubernetes' own addition to CEL, `list.isSorted()`."""
    return celpy.celtypes.BoolType(list(entries) == sorted(entries))


def filled(schema: dict[str, Any], value: Any) -> Any:
    """Fill in the schema's defaults, as the API server does before it asks CEL."""
    if isinstance(value, list):
        return [filled(schema.get("items", {}), entry) for entry in value]
    if not isinstance(value, dict):
        return value
    known = {
        name: field["default"] for name, field in schema.get("properties", {}).items() if "default" in field
    }
    return {name: filled(below(schema, name), entry) for name, entry in (known | value).items()}


def below(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema.get("properties", {}).get(name) or schema.get("additionalProperties") or {}
    return found


def broken(schema: dict[str, Any], value: Any) -> Iterator[str]:
    """Yield the messages of the CEL rules that the value breaks."""
    for rule in schema.get("x-kubernetes-validations", []):
        program = ENVIRONMENT.program(ENVIRONMENT.compile(rule["rule"]), functions={"isSorted": is_sorted})
        if not program.evaluate({"self": celpy.json_to_cel(value)}):
            yield rule["message"]
    entries = value.items() if isinstance(value, dict) else ()
    for name, entry in entries:
        yield from broken(below(schema, name), entry)
    for entry in value if isinstance(value, list) else ():
        yield from broken(schema.get("items", {}), entry)


CASES = [case for case in corpus.load() if case.good or case.needs == "cel"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_cel_agrees(case: corpus.Case) -> None:
    schema = SCHEMAS[case.kind]
    messages = list(broken(schema, filled(schema, json.loads(json.dumps(case.body)))))
    assert bool(messages) is not case.good, messages
