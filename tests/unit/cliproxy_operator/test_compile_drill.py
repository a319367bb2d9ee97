"""`faultInjection` of a ProxyProfile as sidecars run it."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_api.snapshot import Drill
from cliproxy_operator.compile_profile import build_profile
from support.objects import profile

UNTIL = "2026-11-30T12:00:00Z"
UNTIL_UNIX_S = 1796040000.0


@pytest.mark.parametrize(
    ("asked", "drill"),
    [
        ({"abort": {"status": 503}}, Drill(until_unix_s=UNTIL_UNIX_S, status=503)),
        (
            {"provider": "claude", "abort": {"status": 429, "percent": 5}},
            Drill(until_unix_s=UNTIL_UNIX_S, provider="claude", status=429, status_percent=5),
        ),
        (
            {"delay": {"duration": "1500ms", "percent": 20}},
            Drill(until_unix_s=UNTIL_UNIX_S, delay_s=1.5, delay_percent=20),
        ),
        ({}, None),
    ],
    ids=["abort", "share-of-one", "delay", "nothing-to-do"],
)
def test_a_drill_is_told_with_its_end(asked: dict[str, Any], drill: Drill | None) -> None:
    built, diagnostics = build_profile(profile(faultInjection={"until": UNTIL, **asked}), {})

    assert built.drill == drill
    assert diagnostics == ()


def test_without_one_there_is_none() -> None:
    assert build_profile(profile(), {})[0].drill is None
