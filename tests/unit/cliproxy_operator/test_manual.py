"""Annotations that ask for a cooldown or a recovery: each takes effect once, in the order of asking."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from cliproxy_api.vocabulary import COOLDOWN_ANNOTATION, RECOVER_ANNOTATION
from cliproxy_operator.audit import Audit
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.manual import MAX_VALUE_CHARS, Manual
from support.manualclock import ManualClock

KEY = ObjectKey(Kind.LLM_PROVIDER, "shop", "claude")


class Host:
    """Notes what is asked of the fleet."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def cooldown(self, provider_id: str, seconds: float, reason: str) -> bool:
        self.done.append(f"cool {seconds:g}")
        return True

    def recover(self, provider_id: str) -> bool:
        self.done.append("recover")
        return True


def annotated(uid: str = "u1", **wishes: str) -> dict[str, Any]:
    names = {"cooldown": COOLDOWN_ANNOTATION, "recover": RECOVER_ANNOTATION}
    return {"metadata": {"uid": uid, "annotations": {names[name]: value for name, value in wishes.items()}}}


def taken(*objects: dict[str, Any]) -> list[str]:
    host = Host()
    manual = Manual(store=None, host=host, writer=None, audit=Audit(ManualClock()))  # type: ignore[arg-type]
    for raw in objects:
        manual.take(KEY, raw)
    return host.done


def test_a_wish_takes_effect_once() -> None:
    assert taken(annotated(cooldown="10m"), annotated(cooldown="10m")) == ["cool 600"]


def test_a_recovery_asked_for_before_the_cooldown_is_removed_is_not_undone() -> None:
    assert taken(annotated(cooldown="10m"), annotated(cooldown="10m", recover="now")) == [
        "cool 600",
        "recover",
    ]


def test_a_changed_wish_and_one_of_a_new_object_take_effect() -> None:
    assert taken(annotated(cooldown="1m"), annotated(cooldown="2m")) == ["cool 60", "cool 120"]
    assert taken(annotated(cooldown="1m"), annotated(uid="u2", cooldown="1m")) == ["cool 60", "cool 60"]
    assert taken(annotated(cooldown="1m"), annotated(), annotated(cooldown="1m")) == ["cool 60", "cool 60"]


def test_a_new_leadership_takes_what_it_finds() -> None:
    """The same wish may be a later one: another leader has put the former into effect meanwhile."""
    host = Host()
    manual = Manual(store=None, host=host, writer=None, audit=Audit(ManualClock()))  # type: ignore[arg-type]
    manual.take(KEY, annotated(cooldown="5m"))
    manual.begin()
    manual.take(KEY, annotated(cooldown="5m"))

    assert host.done == ["cool 300", "cool 300"]


def test_of_both_at_once_the_cooldown_holds() -> None:
    assert taken(annotated(cooldown="1m", recover="now")) == ["recover", "cool 60"]


@pytest.mark.parametrize("value", ["x" * 262_144, "10m" + " " * 300])
def test_of_a_value_as_long_as_an_annotation_may_be_little_is_logged(
    value: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert taken(annotated(cooldown=value)) == []
    (said,) = [one.__dict__ for one in caplog.records if one.message == "cooldown asked for by annotation"]
    assert said["value"] == value[:MAX_VALUE_CHARS] + "…"
    assert said["fault"]
    assert len(said["fault"]) <= MAX_VALUE_CHARS
