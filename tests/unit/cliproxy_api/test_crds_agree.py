"""The CRDs in `crds/` and the types say the same, field by field: the former are what users meet."""

from collections.abc import Iterator
from typing import Any

import pytest

from cliproxy_api.resources.parse import PLURALS, TYPES
from cliproxy_api.resources.shape import Shape, shape_of
from cliproxy_api.rules import RULES, timespan_message
from cliproxy_api.vocabulary import API_GROUP, API_VERSION
from cliproxy_dev.crds import load_sources

CRDS = {crd["spec"]["names"]["kind"]: crd for crd in load_sources()}
KINDS = sorted(TYPES)
BOUNDS = (
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "pattern",
    "format",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
)


def schema_of(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def fields(kind: str) -> Iterator[tuple[str, dict[str, Any], Shape]]:
    """Yield every field, list entry and map value: path, what the CRD says, what the types say."""
    for part in ("spec", "status"):
        yield from below(part, schema_of(kind)["properties"][part], shape_of(TYPES[kind]).properties[part])


def below(path: str, schema: dict[str, Any], shape: Shape) -> Iterator[tuple[str, dict[str, Any], Shape]]:
    yield path, schema, shape
    for name, field in shape.properties.items():
        if name in schema.get("properties", {}):
            yield from below(f"{path}.{name}", schema["properties"][name], field)
    entries = schema.get("items") or schema.get("additionalProperties")
    if shape.entries and entries:
        yield from below(path + ("[]" if shape.type == "array" else "{}"), entries, shape.entries)


def plain(value: Any) -> Any:
    """Leave out empty lists and maps: to the types they are the same as nothing."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items() if plain(entry) not in ({}, [], None)}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def filled(schema: dict[str, Any], value: Any) -> Any:
    """Fill in the schema's defaults, as the API server does."""
    if not isinstance(value, dict):
        return value
    known = {
        name: filled(below, value.get(name, below.get("default")))
        for name, below in schema.get("properties", {}).items()
        if name in value or "default" in below
    }
    return value | known


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_fields_are_there(kind: str) -> None:
    for path, schema, shape in fields(kind):
        assert sorted(schema.get("properties", {})) == sorted(shape.properties), path
        assert sorted(schema.get("required", [])) == sorted(
            name for name, field in shape.properties.items() if field.required
        ), path
        assert ("items" in schema or "additionalProperties" in schema) is (shape.entries is not None), path


@pytest.mark.parametrize("kind", KINDS)
def test_fields_have_the_same_types_words_and_bounds(kind: str) -> None:
    for path, schema, shape in fields(kind):
        type_ = "int-or-string" if schema.get("x-kubernetes-int-or-string") else schema["type"]
        assert type_ == shape.type, path
        assert tuple(schema.get("enum", ())) == shape.enum, path
        assert {key: schema[key] for key in BOUNDS if key in schema} == {
            key: value for key, value in shape.bounds.items() if key in BOUNDS
        }, path


@pytest.mark.parametrize("kind", KINDS)
def test_fields_have_the_same_defaults(kind: str) -> None:
    for path, schema, shape in fields(kind):
        default = filled(schema, schema.get("default"))
        if path.endswith(("status", "observedGeneration")):
            continue  # the server sets -1 on the whole status, see below
        assert plain(default) == plain(shape.default) or (default is None and not plain(shape.default)), path


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_object_is_not_mistaken_for_a_reconciled_one(kind: str) -> None:
    assert schema_of(kind)["properties"]["status"]["default"] == {"observedGeneration": -1}
    assert TYPES[kind].__struct_defaults__[-1] == TYPES[kind].__annotations__["status"](
        observed_generation=-1
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described_by_the_same_sentence(kind: str) -> None:
    for path, schema, shape in fields(kind):
        assert schema.get("description") == shape.description, path
        assert shape.description.endswith("."), path
        if path.startswith("status."):
            entry = path.endswith(("[]", "{}"))
            assert entry or schema["description"].endswith("set by the operator."), path


@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_bounded(kind: str) -> None:
    for path, schema, _ in fields(kind):
        if schema.get("type") == "string" and "enum" not in schema:
            assert "maxLength" in schema, path
        assert "items" not in schema or "maxItems" in schema, path
        assert "additionalProperties" not in schema or "maxProperties" in schema, path


@pytest.mark.parametrize("kind", KINDS)
def test_cel_says_the_rules_of_the_types(kind: str) -> None:
    in_cel, wanted = [], [(rule.at, rule.message) for rule in RULES[kind]]
    for path, schema, shape in fields(kind):
        rules = schema.get("x-kubernetes-validations", [])
        in_cel += [(path, rule["message"]) for rule in rules]
        if "x-at-least" in shape.bounds:
            low, high = shape.bounds["x-at-least"], shape.bounds["x-at-most"]
            wanted.append((path, timespan_message(low, high)))
            assert (
                rules[0]["rule"]
                == f"duration(self) >= duration('{low}') && duration(self) <= duration('{high}')"
            )
    assert sorted(in_cel) == sorted(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_those_that_users_type(kind: str) -> None:
    crd = CRDS[kind]
    names = crd["spec"]["names"]
    shorts = {"LLMProvider": "llmp", "CooldownPolicy": "cdp", "AlertRule": "llmalert", "ProxyProfile": "pxp"}
    assert (crd["spec"]["group"], crd["spec"]["scope"]) == (API_GROUP, "Namespaced")
    assert [version["name"] for version in crd["spec"]["versions"]] == [API_VERSION]
    assert (names["plural"], names["shortNames"]) == (PLURALS[kind], [shorts[kind]])
    assert names["categories"] == ["llm"]
    assert crd["metadata"]["name"] == f"{PLURALS[kind]}.{API_GROUP}"
    assert crd["spec"]["versions"][0]["subresources"] == {"status": {}}


@pytest.mark.parametrize("kind", KINDS)
def test_columns_and_selectors_point_at_fields(kind: str) -> None:
    version = CRDS[kind]["spec"]["versions"][0]
    paths = {path for path, _, _ in fields(kind)} | {"metadata.creationTimestamp"}
    shown = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    chosen = [selectable["jsonPath"] for selectable in version["selectableFields"]]
    for path in shown + chosen:
        assert path.partition("[?")[0].removeprefix(".") in paths, path
