"""Reading a readinessProbe; asking is proven by the cluster tests."""

from __future__ import annotations

from typing import Any

import pytest

from cliproxy_dev.nodeagent.probe import Probe

PORTS = [{"name": "observe", "containerPort": 9090}]


def read(**probe: Any) -> Probe | None:
    return Probe.of({"ports": PORTS, "readinessProbe": probe}, "127.0.1.10")


def test_defaults_are_kubernetes_own() -> None:
    probe = read(httpGet={"port": 80})

    assert probe is not None
    assert probe.url == "http://127.0.1.10:80/"
    assert (probe.initial_delay_s, probe.period_s, probe.timeout_s, probe.failures_allowed) == (0, 10, 1, 2)


def test_every_field_counts() -> None:
    action = {
        "path": "/health/ready",
        "port": "observe",
        "scheme": "HTTPS",
        "host": "127.0.0.1",
        "httpHeaders": [{"name": "a", "value": "b"}],
    }
    probe = read(httpGet=action, initialDelaySeconds=2, periodSeconds=1, timeoutSeconds=3, failureThreshold=1)

    assert probe == Probe(
        host="127.0.0.1",
        port=9090,
        url="https://127.0.0.1:9090/health/ready",
        headers={"a": "b"},
        initial_delay_s=2,
        period_s=1,
        timeout_s=3,
        failures_allowed=0,
    )


def test_a_tcp_probe_has_no_url() -> None:
    probe = read(tcpSocket={"port": "observe"})

    assert probe is not None
    assert (probe.port, probe.url) == (9090, "")


@pytest.mark.parametrize("container", [{}, {"readinessProbe": {"exec": {"command": ["true"]}}}])
def test_without_a_known_probe_running_is_ready(container: dict[str, Any]) -> None:
    assert Probe.of(container, "127.0.1.10") is None
