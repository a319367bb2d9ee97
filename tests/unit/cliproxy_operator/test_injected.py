"""Pods that ask for a sidecar are told apart, summed up, and told in a profile's status."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cliproxy_api.conditions import ConditionType, find_condition
from cliproxy_api.resources.proxyprofile import Injection, ProxyProfileStatus
from cliproxy_api.vocabulary import ConditionStatus
from cliproxy_operator.injected import State, injected, missing, sum_up
from cliproxy_operator.report import injection_status
from cliproxy_operator.status.others import merge_profile_status
from cliproxy_operator.view import InjectionView, ProfileView

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def pod(
    name: str = "web", *, made: str = "2026-11-21T11:00:00Z", labels: Any = None, **annotations: str
) -> Any:
    names = {f"cliproxy.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": made}
    return {"metadata": metadata | {"labels": labels, "annotations": names}}


def state_of(asking: Any) -> State:
    assert asking is not None
    found: State = asking.state
    return found


def test_a_sidecar_of_the_template_is_current_and_any_other_stale() -> None:
    assert state_of(injected(pod(injected="abc"), "abc")) is State.CURRENT
    assert state_of(injected(pod(injected="old"), "abc")) is State.STALE
    assert injected(pod(), "abc") is None


@pytest.mark.parametrize(
    "declined",
    [
        pod(inject="false"),
        pod(labels={"cliproxy.io/inject": "false"}),
        {"metadata": pod()["metadata"] | {"annotations": {"kubernetes.io/config.mirror": "x"}}},
        {"metadata": pod()["metadata"] | {"deletionTimestamp": "2026-11-21T11:30:00Z"}},
    ],
)
def test_what_declines_or_goes_is_not_missing_one(declined: Any) -> None:
    assert missing(declined) is None


def test_a_reason_that_admission_left_is_told() -> None:
    told = missing(pod(not_injected="PortTaken: container app listens on 8317; set it"))
    missed = missing(pod())

    assert told is not None
    assert (told.reason, told.message) == ("PortTaken", "container app listens on 8317; set it")
    assert missed is not None
    assert missed.reason == "NotInjected"
    assert "restart its workload" in missed.message


def test_groups_are_summed_up_the_worst_first() -> None:
    asking = [
        injected(pod("new", profile="a", injected="abc"), "abc"),
        injected(pod("old", profile="a", injected="x", made="2026-11-01T00:00:00Z"), "abc"),
        missing(pod("late", profile="a")),
        missing(pod("early", profile="a", made="2026-11-20T00:00:00Z")),
        missing(pod("lone", made="no time at all")),
    ]

    groups = sum_up(one for one in asking if one is not None)

    view = groups["shop", "a"]
    assert (view.current, view.stale, view.missing) == (1, 1, 2)
    assert [one.sidecar.pod for one in view.worst] == ["early", "late", "old"]
    assert groups["shop", ""].missing == 1
    body = injection_status(groups, None)
    assert [group["profile"] for group in body["groups"]] == ["", "a"]
    assert injection_status(groups, "elsewhere") == {"groups": []}


def test_many_are_counted_and_ten_named() -> None:
    asking = [missing(pod(f"web-{number:03}")) for number in range(500)]

    (view,) = sum_up(one for one in asking if one is not None).values()

    assert view.missing == 500
    assert len(view.worst) == 10


def merged(view: InjectionView | None, previous: ProxyProfileStatus | None = None) -> ProxyProfileStatus:
    return merge_profile_status(
        previous, generation=1, diagnostics=(), view=ProfileView(injection=view), now_utc=NOW
    )


def condition(status: ProxyProfileStatus) -> tuple[str, str, str]:
    found = find_condition(status.conditions, ConditionType.INJECTED)
    assert found is not None
    return found.status.value, found.reason, found.message


def test_status_is_silent_until_somebody_asks_and_keeps_zeros_afterwards() -> None:
    silent = merged(None)
    assert silent.injection is None
    assert find_condition(silent.conditions, ConditionType.INJECTED) is None

    fine = merged(InjectionView(current=2), silent)
    assert fine.injection == Injection(current=2, summary="2/2")
    assert condition(fine)[:2] == (ConditionStatus.TRUE, "Injected")

    gone = merged(None, fine)
    assert gone.injection == Injection(summary="0/0")
    assert condition(gone)[2] == "no pod asks for a sidecar at present"


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (InjectionView(current=1, stale=1), "OutdatedSidecar"),
        (InjectionView(current=1, stale=1, missing=1), "NotInjected"),
    ],
)
def test_the_worse_names_the_condition(view: InjectionView, reason: str) -> None:
    status, named, message = condition(merged(view))

    assert (status, named) == (ConditionStatus.FALSE, reason)
    assert message.startswith(f"of {view.current + view.stale + view.missing} pods that ask for a sidecar")
