"""kopf's settings: what must be set, and what must never be."""

import itertools

import pytest

from cliproxy_operator.kinds import NAMESPACE
from cliproxy_operator.kubeconfig import Access
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings import read_settings
from cliproxy_operator.watch import RETRY_TOTAL_S, Backoffs, Watch, watched
from support.manualclock import ManualClock


def make(**environment: str) -> Watch:
    return Watch(
        access=Access(server="http://127.0.0.1:1"),
        settings=read_settings({"CLIPROXY_CONTROL_TOKEN": "x" * 16, **environment}),
        clock=ManualClock(),
        metrics=Metrics(),
        listener=lambda _: None,
    )


def test_backoffs_can_be_used_again_and_again() -> None:
    backoffs = Backoffs(ManualClock())
    first, second = list(backoffs), list(backoffs)

    assert len(first) == len(second)
    assert sum(first) > RETRY_TOTAL_S / 2
    assert sum(first) < RETRY_TOTAL_S * 1.1
    assert max(itertools.chain(first, second)) <= 2.0
    assert not hasattr(backoffs, "__len__")


def test_settings_that_bite() -> None:
    settings = make()._kopf_settings()

    assert settings.queueing.worker_limit is None
    assert not settings.watching.initial_streaming
    assert not settings.posting.enabled
    assert not settings.scanning.disabled
    assert settings.watching.inactivity_timeout == 70
    assert settings.process.ultimate_exiting_timeout is None
    assert list(settings.watching.label_selectors.values()) == ["cliproxy.io/sidecar=true"]


def test_an_operator_of_some_namespaces_does_not_scan() -> None:
    assert make(CLIPROXY_NAMESPACES="shop")._kopf_settings().scanning.disabled


@pytest.mark.parametrize(("namespaces", "expected"), [("", True), ("shop", False)])
def test_namespaces_are_watched_only_if_all_are_served(namespaces: str, expected: bool) -> None:  # noqa: FBT001
    environment = {"CLIPROXY_CONTROL_TOKEN": "x" * 16, "CLIPROXY_NAMESPACES": namespaces}

    assert (NAMESPACE in watched(read_settings(environment))) is expected
