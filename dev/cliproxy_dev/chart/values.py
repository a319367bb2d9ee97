"""values.yaml and the reference of values, both made from the chart's `values.schema.json`.

The schema holds every key's meaning and default, so that nothing is said twice. Who writes the files is left
to `__main__`.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

CHART: Final = Path(__file__).resolve().parents[3] / "charts" / "cliproxy-operator"
SCHEMA: Final = CHART / "values.schema.json"
VALUES: Final = CHART / "values.yaml"
WIDTH: Final = 116
HEAD: Final = "# Made from values.schema.json by `make chart`: every key with its default.\n"
NOT_SHOWN: Final = frozenset({"global"})
"""Helm's own."""

Node = dict[str, Any]


def load_schema(path: Path = SCHEMA) -> Node:
    """Return the schema."""
    schema: Node = json.loads(path.read_text("utf-8"))
    return schema


def defaults(node: Node) -> Any:
    """Return the value that a node has when nobody says another."""
    if "properties" not in node:
        return node["default"]
    return {name: defaults(child) for name, child in node["properties"].items() if name not in NOT_SHOWN}


def leaves(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Node]]:
    """Yield every node below this one with its dotted key, parents before children."""
    for name, child in node.get("properties", {}).items():
        if name in NOT_SHOWN:
            continue
        yield ".".join((*path, name)), child
        yield from leaves(child, (*path, name))


def values_yaml(schema: Node) -> str:
    """Return the text of values.yaml."""
    return HEAD + "".join(_lines(schema, 0))


def _lines(node: Node, depth: int) -> Iterator[str]:
    pad = "  " * depth
    for name, child in node["properties"].items():
        if name in NOT_SHOWN:
            continue
        if depth == 0:
            yield "\n"
        for line in textwrap.wrap(child["description"], WIDTH - len(pad) - 2, break_on_hyphens=False):
            yield f"{pad}# {line}\n"
        if "properties" in child:
            yield f"{pad}{name}:\n"
            yield from _lines(child, depth + 1)
        else:
            yield f"{pad}{name}: {_inline(child['default'])}\n"


def _inline(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value) if value == "" or yaml.safe_load(value) != value else value
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n...\n").strip()


def reference(schema: Node) -> str:
    """Return docs/reference/values.md."""
    rows = [
        "# Values of the chart\n",
        "\nMade from `charts/cliproxy-operator/values.schema.json` by `make chart`.\n",
        "Helm refuses any other key, and any value of another form, before it changes the cluster.\n",
    ]
    for name, group in schema["properties"].items():
        if name in NOT_SHOWN:
            continue
        if "properties" not in group:
            rows.append(f"\n## {name}\n\n{group['description']}\n\n{_table([(name, group)])}")
            continue
        below = [(key, node) for key, node in leaves(group, (name,)) if "properties" not in node]
        rows.append(f"\n## {name}\n\n{group['description']}\n\n{_table(below)}")
    return "".join(rows)


def _table(entries: list[tuple[str, Node]]) -> str:
    lines = ["| key | form | default | meaning |\n", "|---|---|---|---|\n"]
    for key, node in entries:
        default = "" if node["default"] == "" else f"`{json.dumps(node['default'], ensure_ascii=False)}`"
        lines.append(
            f"| `{key}` | {_form(node)} | {default} | {node['description']} |\n".replace("|  |", "| |")
        )
    return "".join(lines)


def _form(node: Node) -> str:
    """Return what a value may be, for people."""
    if "enum" in node:
        return ", ".join(f"`{word}`" if word else "empty" for word in node["enum"])
    if "oneOf" in node:
        return " or ".join(_form(choice) for choice in node["oneOf"])
    if "const" in node:
        return f"`{node['const']}`"
    kind = node["type"]
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    if kind == "array":
        words = f"list of {node['items'].get('type', 'object')}s"
    bounds = [f"{word} {node[key]}" for word, key in (("from", "minimum"), ("to", "maximum")) if key in node]
    return " ".join([words, *bounds])
