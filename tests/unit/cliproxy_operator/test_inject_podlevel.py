"""Resources of a whole pod: what is set grows by the sidecar's amounts, what is not stays unset."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_operator.inject.podlevel import widened
from cliproxy_operator.inject.quantity import parse_quantity, write_quantity

SIDECAR = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}


@pytest.mark.parametrize(
    ("whole", "made"),
    [
        (
            {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
            {
                "requests": {"cpu": "1050m", "memory": "1088Mi"},
                "limits": {"cpu": "2050m", "memory": "2176Mi"},
            },
        ),
        ({"requests": {"cpu": "950m"}}, {"requests": {"cpu": "1"}}),
        ({"limits": {"memory": "100M"}}, {"limits": {"memory": "234217728"}}),
        (
            {"requests": {"memory": "1024Mi"}, "limits": {"memory": "1Gi"}},
            {"requests": {"memory": "1152Mi"}, "limits": {"memory": "1152Mi"}},
        ),
        (
            {"requests": {"hugepages-2Mi": "4Mi", "cpu": "1u"}, "limits": {"hugepages-2Mi": "4Mi"}},
            {"requests": {"hugepages-2Mi": "4Mi", "cpu": "51m"}, "limits": {"hugepages-2Mi": "4Mi"}},
        ),
        ({"requests": None, "limits": {"cpu": 1}}, {"requests": None, "limits": {"cpu": "1050m"}}),
        ({"requests": {"cpu": "lots", "memory": ""}}, {"requests": {"cpu": "lots", "memory": ""}}),
    ],
    ids=["all", "one-request", "one-limit", "the-same", "others", "null", "unreadable"],
)
def test_what_is_set_grows(whole: dict[str, Any], made: dict[str, Any]) -> None:
    assert widened(whole, SIDECAR) == made


amounts = st.sampled_from(
    ["1", "250m", "1n", "0", "3k", "64Mi", "1.5Gi", "1e3", "100M", "2E", "12345678901234567"]
)


@given(st.sampled_from(["cpu", "memory"]), amounts, amounts, amounts, amounts)
def test_the_pod_has_room_for_all(resource: str, pod: str, limit: str, ours: str, our_limit: str) -> None:
    whole = {"requests": {resource: pod}, "limits": {resource: limit}}

    made = widened(whole, {"requests": {resource: ours}, "limits": {resource: our_limit}})

    requested, bound = (parse_quantity(made[part][resource]) for part in ("requests", "limits"))
    assert requested >= parse_quantity(pod) + min(parse_quantity(ours), parse_quantity(our_limit))
    assert bound >= parse_quantity(limit) + parse_quantity(our_limit)
    assert (requested == bound) or parse_quantity(pod) != parse_quantity(limit)


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [
        ("cpu", "0.0000001", "1m"),
        ("cpu", "2", "2"),
        ("cpu", "1.5", "1500m"),
        ("memory", "0.5", "1"),
        ("memory", "1536", "1536"),
        ("memory", "2048", "2Ki"),
        ("memory", "1610612736", "1536Mi"),
        ("memory", "3221225472", "3Gi"),
    ],
)
def test_amounts_are_written_as_people_do(resource: str, amount: str, text: str) -> None:
    assert write_quantity(resource, Decimal(amount)) == text
