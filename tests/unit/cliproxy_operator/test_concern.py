"""A change sets in motion what it concerns, and a status written by us sets nothing in motion."""

from typing import Any

import pytest

from cliproxy_operator.concern import Concern, concern, lends
from cliproxy_operator.kinds import NAMESPACE, POD, POLICY, PROFILE, PROVIDER, Resource
from cliproxy_operator.store import Change


def raw(**changes: Any) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "shop", "uid": "u", "generation": 1, **changes}
    return {"metadata": metadata}


def change(resource: Resource, old: Any, new: Any) -> Change:
    return Change(resource, "shop", "x", old, new)


NOTHING = Concern()
STATUS = Concern(status=True)
COMPILE = Concern(compile=True, status=True)
ALL = Concern(compile=True, compile_all=True, status=True)


@pytest.mark.parametrize(
    ("what", "shares", "expected"),
    [
        (change(PROVIDER, None, raw()), False, COMPILE),
        (change(PROVIDER, raw(), None), False, COMPILE),
        (change(PROVIDER, raw(), raw(generation=2)), False, COMPILE),
        (change(PROVIDER, raw(), raw(uid="v")), False, COMPILE),
        (change(PROVIDER, raw(), raw(labels={"a": "b"})), False, COMPILE),
        (change(PROVIDER, raw(), raw(resourceVersion="7")), False, STATUS),
        (change(PROVIDER, raw(), raw(annotations={"cliproxy.io/cooldown": "1m"})), True, STATUS),
        (change(PROVIDER, raw(), raw(generation=2)), True, ALL),
        (change(POLICY, raw(), raw(generation=2)), True, ALL),
        (change(PROFILE, raw(), raw(generation=2)), True, COMPILE),
        (change(POD, None, raw()), False, Concern(compile=True)),
        (change(POD, raw(), raw(resourceVersion="7")), False, NOTHING),
        (change(POD, raw(), raw(annotations={"cliproxy.io/profile": "fast"})), False, Concern(compile=True)),
        (change(NAMESPACE, raw(), raw(resourceVersion="7")), False, NOTHING),
        (change(NAMESPACE, raw(), raw(labels={"team": "a"})), False, Concern(compile=True)),
    ],
)
def test_concern(what: Change, shares: bool, expected: Concern) -> None:  # noqa: FBT001 -- a table
    assert concern(what, shares=shares) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, False),
        ({}, False),
        ({"allowedNamespaces": {}}, False),
        ({"allowedNamespaces": {"from": "Same"}}, False),
        ({"allowedNamespaces": {"from": "All"}}, True),
        ({"allowedNamespaces": {"from": "Selector"}}, True),
        ({"allowedNamespaces": "garbage"}, False),
        ("garbage", False),
    ],
)
def test_lends(spec: Any, expected: bool) -> None:  # noqa: FBT001 -- a table
    assert lends({"metadata": {}, "spec": spec}) is expected


def test_nothing_lends_nothing() -> None:
    assert not lends(None)
