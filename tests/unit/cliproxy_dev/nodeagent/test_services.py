"""Where a Service is listened for, and whom it leads to."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_dev.kube import Json
from cliproxy_dev.nodeagent.services import places, targets


def service(**spec: Any) -> Json:
    ports = [{"port": 443, "targetPort": "webhooks"}]
    return {
        "metadata": {"name": "operator", "namespace": "home"},
        "spec": {"clusterIP": "127.96.3.4", "selector": {"app": "operator"}, "ports": ports} | spec,
    }


def pod(**changes: Any) -> Json:
    metadata = {"name": "a", "namespace": "home", "labels": {"app": "operator", "more": "yes"}}
    ports = [{"name": "webhooks", "containerPort": 9443}]
    return {
        "metadata": metadata | changes,
        "spec": {"containers": [{"name": "operator", "ports": ports}]},
        "status": {"podIP": "127.0.25.11", "conditions": [{"type": "Ready", "status": "True"}]},
    }


@pytest.mark.parametrize(
    "spec", [{"clusterIP": "10.96.0.1"}, {"clusterIP": "None"}, {"selector": {}}, {"clusterIP": ""}]
)
def test_only_services_with_pods_and_a_loopback_address_are_listened_for(spec: Json) -> None:
    assert places([service(**spec)]) == {}
    assert list(places([service()])) == [("127.96.3.4", 443)]


def test_a_port_is_found_by_number_name_or_none() -> None:
    for port, wanted in (
        ({"port": 443, "targetPort": "webhooks"}, 9443),
        ({"port": 443, "targetPort": 8443}, 8443),
        ({"port": 8080}, 8080),
    ):
        assert targets(service(), port, [pod()]) == [("127.0.25.11", wanted)]


def test_pods_of_others_and_those_that_are_not_ready_are_passed_over() -> None:
    unready = pod()
    unready["status"]["conditions"][0]["status"] = "False"
    others = [
        unready,
        pod(namespace="elsewhere"),
        pod(labels={"app": "web"}),
        pod(deletionTimestamp="2026-11-21T12:00:00Z"),
    ]

    assert targets(service(), {"port": 443}, others) == []
