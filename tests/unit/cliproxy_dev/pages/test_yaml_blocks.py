"""What pages tell readers to apply: each YAML block of ours fits a kind, wholes and pieces alike."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliproxy_dev.crds import load_sources
from support.schema_judge import refusals

ROOT = Path(__file__).resolve().parents[4]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SCHEMAS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in load_sources()
}
OTHERS = {"Namespace", "Certificate"}
"""Kinds of others."""
OTHER_FIELDS = {"receivers", "OPENAI_BASE_URL", "alert"}
"""By which a file of others is known: OpenTelemetry's collector, an application's variables, a rule."""


def blocks() -> Iterator[tuple[str, Any]]:
    """Yield each document of each block with where it stands."""
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            for document in yaml.safe_load_all(textwrap.dedent(found[2])):
                yield f"{page.relative_to(ROOT)}:{line}", document


def is_ours(document: dict[str, Any]) -> bool:
    pod = "containers" in (document.get("spec") or {})
    return document.get("kind") not in OTHERS and not OTHER_FIELDS & document.keys() and not pod


OURS = {place: document for place, document in blocks() if is_ours(document)}


def unknown(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Yield the fields that the schema does not know: an API server would drop them without a word."""
    if isinstance(value, dict) and (known := schema.get("properties")):
        for name, child in value.items():
            if name in known:
                yield from unknown(known[name], child, f"{path}.{name}")
            elif not (path == "" and name in {"apiVersion", "kind", "metadata"}):
                yield f"{path}.{name}: no such field"
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from unknown(schema.get("additionalProperties") or {}, child, f"{path}.{name}")
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from unknown(schema.get("items") or {}, child, f"{path}[{place}]")


def faults(kind: str, body: dict[str, Any]) -> list[str]:
    """Return what is wrong with a whole object, or with a piece of one, from which fields may be missing."""
    whole = {"apiVersion", "kind", "metadata"} <= body.keys()
    schema = SCHEMAS[kind] if whole else optional(SCHEMAS[kind])
    return [*unknown(schema, body), *refusals(schema, body)]


def optional(schema: Any) -> Any:
    """Return the schema with nothing required."""
    if isinstance(schema, dict):
        left = {key: value for key, value in schema.items() if not (key == "required" and is_list(value))}
        return {key: optional(value) for key, value in left.items()}
    return schema


def is_list(value: object) -> bool:
    return isinstance(value, list)


@pytest.mark.parametrize("place", OURS)
def test_a_block_fits_a_kind(place: str) -> None:
    body = OURS[place]
    piece = body if body.keys() & {"kind", "spec"} else {"spec": body}
    kinds = [body["kind"]] if "kind" in body else list(SCHEMAS)

    found = {kind: faults(kind, piece) for kind in kinds}

    assert not all(found.values()), min(found.values(), key=len)


def test_there_are_blocks_and_a_wrong_field_is_found() -> None:
    assert len(OURS) > 10
    spec = {"errorThreshold": "many", "durations": {"eror": "10s"}}
    told = faults("CooldownPolicy", {"spec": spec})
    assert ".spec.durations.eror: no such field" in told
    assert any("errorThreshold" in one and "integer" in one for one in told)
