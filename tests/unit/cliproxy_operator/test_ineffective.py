"""What is accepted without effect is said."""

import pytest

from cliproxy_api.conditions import Reason
from cliproxy_operator.ineffective import without_effect
from support.objects import alert, llm, policy, profile


@pytest.mark.parametrize(
    ("mode", "place"),
    [
        ("active_passive", "a spec.priority number above all others'"),
        ("active_active", "the others' spec.priority"),
    ],
)
def test_a_backup_of_a_profile_is_named_with_what_does_the_same(mode: str, place: str) -> None:
    (found,) = without_effect(profile(failover={"mode": mode, "backupURL": "http://backup:80"}))
    assert (found.reason, found.path) == (Reason.NO_EFFECT, "spec.failover")
    assert found.message.startswith("has no effect in this version; ")
    assert "spec.baseURL http://backup:80" in found.message
    assert place in found.message


def test_a_field_of_a_provider_that_does_nothing_is_named() -> None:
    (found,) = without_effect(llm("p", connectionPool={"http2": True}))
    assert found.path == "spec.connectionPool.http2"


def test_who_asks_for_nothing_of_it_hears_nothing() -> None:
    for entry in (profile(), llm("p"), policy("c"), alert()):
        assert without_effect(entry) == ()
