"""What is accepted without effect is said."""

from typing import Any

import pytest

from cliproxy_api.conditions import Reason
from cliproxy_operator.ineffective import without_effect
from support.objects import alert, llm, policy, profile

ASKED: dict[str, dict[str, Any]] = {
    "spec.failover": {"failover": {"mode": "active_passive", "backupURL": "http://backup:80"}},
}


@pytest.mark.parametrize("path", ASKED)
def test_a_field_of_a_profile_that_does_nothing_is_named(path: str) -> None:
    (found,) = without_effect(profile(**ASKED[path]))
    assert (found.reason, found.path) == (Reason.NO_EFFECT, path)
    assert found.message.startswith("has no effect in this version; ")


def test_a_field_of_a_provider_that_does_nothing_is_named() -> None:
    (found,) = without_effect(llm("p", connectionPool={"http2": True}))
    assert found.path == "spec.connectionPool.http2"


def test_who_asks_for_nothing_of_it_hears_nothing() -> None:
    for entry in (profile(), llm("p"), policy("c"), alert()):
        assert without_effect(entry) == ()
