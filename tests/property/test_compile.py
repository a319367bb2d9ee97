"""The compiler is total and blind to order: any objects in any order, the same bytes and no exception."""

import copy
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.codec import encode
from cliproxy_operator.compile import compile_namespace, needed_secrets
from cliproxy_operator.memo import Memo
from support.cases import inputs_of, outcome_of, read_case

pytestmark = pytest.mark.timeout(300)  # the machine may be busy; the work is bounded

CASES = [read_case(path) for path in sorted((Path(__file__).parents[1] / "golden").glob("*/in.yaml"))]
JUNK: list[Any] = [
    None,
    "",
    "x" * 5000,
    -1,
    0,
    10**30,
    1.5,
    True,
    [],
    {},
    [[]],
    {"": {}},
    "http://[::1",
    "9999999h",
    "\x00\u2028",
    ["a", "a"],
]


@given(case=st.sampled_from(CASES), seed=st.integers(0, 2**32))
def test_the_order_of_objects_does_not_matter(case: dict[str, Any], seed: int) -> None:
    shuffled = copy.deepcopy(case)
    random.Random(seed).shuffle(shuffled["objects"])  # noqa: S311 -- a test's dice
    one, other = compile_namespace(inputs_of(case)), compile_namespace(inputs_of(shuffled))
    assert one.snapshots == other.snapshots
    assert {key: encode(value) for key, value in one.snapshots.items()} == {
        key: encode(value) for key, value in other.snapshots.items()
    }
    assert dict(one.diagnostics) == dict(other.diagnostics)
    assert (dict(one.policy_users), one.missing_profiles) == (
        dict(other.policy_users),
        other.missing_profiles,
    )


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values inside a nest of maps and lists."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(spot for key, entry in below for spot in spots(entry, (*path, key)))]


def replace(value: Any, path: tuple[Any, ...], junk: Any) -> None:
    """Put something else where the path leads."""
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = junk


@given(case=st.sampled_from(CASES), data=st.data())
def test_no_object_however_odd_raises_or_touches_others(case: dict[str, Any], data: st.DataObject) -> None:
    odd = copy.deepcopy(case)
    number = data.draw(st.integers(0, len(odd["objects"]) - 1))
    victim = odd["objects"][number]
    for _ in range(data.draw(st.integers(1, 4))):
        paths = [path for part in ("spec", "status") for path in spots(victim.get(part, {}), (part,))]
        path = data.draw(st.sampled_from(paths))
        try:
            replace(victim, path, copy.deepcopy(data.draw(st.sampled_from(JUNK))))
        except (TypeError, KeyError, IndexError):
            continue
    given_inputs = inputs_of(odd)
    compiled = compile_namespace(given_inputs)
    needed_secrets(given_inputs)
    outcome_of(odd)
    if victim["kind"] == "LLMProvider":
        name = f"{victim['metadata']['namespace']}/{victim['metadata']['name']}"
        before = compile_namespace(inputs_of(case)).snapshots[""].providers
        after = compiled.snapshots[""].providers
        assert [one for one in after if one.id != name] == [one for one in before if one.id != name]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["objects"][0]["metadata"]["name"])
def test_a_status_is_its_own_fixed_point_and_has_no_empty_text(case: dict[str, Any]) -> None:
    first = outcome_of(case)["statuses"]
    again = copy.deepcopy(case)
    for body in again["objects"]:
        told = first.get(f"{body['kind']} {body['metadata']['name']}")
        if told is not None:
            body["status"] = {key: value for key, value in told.items() if key != "(events)"}
    second = outcome_of(again)["statuses"]
    for name, status in first.items():
        assert "(events)" not in second[name], name
        assert {**status, "(events)": 0} == {**second[name], "(events)": 0}, name
        assert "" not in set(texts(status)), name


def texts(value: Any) -> list[str]:
    """Return every text in a nest of maps and lists."""
    if isinstance(value, dict):
        return [text for entry in value.values() for text in texts(entry)]
    if isinstance(value, list | tuple):
        return [text for entry in value for text in texts(entry)]
    return [value] if isinstance(value, str) else []


@given(cases=st.lists(st.sampled_from(CASES), min_size=2, max_size=4))
def test_what_was_worked_out_before_changes_no_result(cases: list[dict[str, Any]]) -> None:
    memo = Memo()
    every = [inputs_of(case) for case in cases]
    for inputs in [*every, *every]:
        assert compile_namespace(inputs, memo) == compile_namespace(inputs)
