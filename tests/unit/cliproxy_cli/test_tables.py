"""`top` and `sidecars`: what stands in the objects, sorted and named."""

from pathlib import Path

from support.commandline import StubApi, listed, provider, run

PROVIDERS = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/llmproviders"
PROFILES = "/apis/cliproxy.io/v1alpha1/namespaces/team-a/proxyprofiles"
PODS = "/api/v1/namespaces/team-a/pods"


def test_top_shows_the_busiest_first(api: StubApi, kubeconfig: Path) -> None:
    busy = {"requestsLastMinute": 200, "errorsLastMinute": 20, "p95LatencyMs": 10, "tokensLastMinute": 5000}
    slow = {"requestsLastMinute": 1, "p95LatencyMs": 9000}
    api.objects[PROVIDERS] = listed(
        provider("slow", phase="Healthy", traffic=slow),
        provider("busy", phase="Degraded", traffic=busy),
        provider("new"),
    )

    by_requests = run("top", kubeconfig=kubeconfig)
    by_latency = run("top", "--by", "latency", "-o", "json", kubeconfig=kubeconfig)

    assert [row[0] for row in by_requests.rows] == ["NAME", "busy", "slow", "new"]
    assert by_requests.rows[1][1:5] == ["Degraded", "200", "20", "10.0%"]
    assert by_requests.rows[3][1:3] == ["Unknown", "0"]
    assert [one["name"] for one in by_latency.json] == ["slow", "busy", "new"]
    assert by_latency.json[1]["tokensLastMinute"] == 5000


def test_sidecars_are_shown_with_why_they_lag(api: StubApi, kubeconfig: Path) -> None:
    pod = {
        "metadata": {
            "name": "web-1",
            "namespace": "team-a",
            "annotations": {"cliproxy.io/profile": "gold"},
            "creationTimestamp": "2020-01-01T00:00:00Z",
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"restartCount": 2}],
        },
    }
    worst = [{"pod": "web-1", "reason": "Unreachable", "message": "no answer"}]
    profile = {"metadata": {"name": "gold", "namespace": "team-a"}, "status": {"sidecars": {"worst": worst}}}
    api.objects[PODS] = listed(pod)
    api.objects[PROFILES] = listed(profile)

    ran = run("sidecars", kubeconfig=kubeconfig)

    (_, row) = ran.rows
    assert row[:6] == ["team-a", "web-1", "gold", "Running", "yes", "2"]
    assert row[7:] == ["Unreachable:", "no", "answer"]
    assert [one.query["labelSelector"] for one in api.asked if one.path == PODS] == [
        "cliproxy.io/sidecar=true"
    ]
    assert run("sidecars", "-o", "json", kubeconfig=kubeconfig).json[0]["behind"] == "Unreachable: no answer"
