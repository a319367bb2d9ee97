"""`explain` finds the sidecar that served a request, by URL or through kubectl, and tells what it says."""

import sys
from pathlib import Path
from typing import Any

import pytest

from support.commandline import StubApi, listed, run, stub_api

PODS = "/api/v1/namespaces/team-a/pods"
PATH = "/v0/operations/requests/req_1/explain"
GROQ = {"provider": "team-a/groq", "credential": "main", "upstream_model": "llama"}
OPENAI = {"provider": "team-a/openai", "credential": "main", "upstream_model": "gpt-4o"}
TOLD: dict[str, Any] = {
    "request_id": "req_1",
    "model": "fast",
    "stream": False,
    "started_at": "2026-11-21T12:00:00.000Z",
    "duration_ms": 12.5,
    "status": 200,
    "refused": None,
    "strategy": "latency",
    "affinity": "None",
    "choices": [
        {
            "at_ms": 0.3,
            "chosen": OPENAI,
            "none_because": None,
            "because": "its turn among the equally good",
            "compared_in": "ms",
            "candidates": [{**OPENAI, "value": 412.0, "equally_good": True}],
            "skipped": [{**GROQ, "why": "cooling", "because": "cooling", "reason": "429", "until": "12:03"}],
            "more_skipped": 0,
        }
    ],
    "attempts": [{**OPENAI, "outcome": "Success", "status": 200, "code": None, "latency_ms": 9.1}],
}


def test_a_sidecar_is_asked_by_its_url() -> None:
    with stub_api() as sidecar:
        sidecar.objects[PATH] = TOLD
        url = f"http://127.0.0.1:{sidecar.port}"

        ran = run("explain", "req_1", "--url", url)
        same = run("explain", "req_1", "-o", "json", CLIPROXY_URL=url, CLIPROXY_TOKEN="an-admin-key")

    assert ran.code == 0
    assert "CHOICE 1 at 0.3 ms: team-a/openai/main/gpt-4o (its turn among the equally good)" in ran.out
    assert "cooling; 429; 12:03" in ran.out
    assert same.json == TOLD
    assert [one.token for one in sidecar.asked] == ["", "an-admin-key"]


@pytest.mark.parametrize(
    ("url", "says"),
    [("ftp://x", "is no URL"), ("http://127.0.0.1:9", "cannot be asked"), ("", "no kubeconfig")],
)
def test_an_address_that_leads_nowhere_is_told(url: str, says: str) -> None:
    ran = run("explain", "req_1", "--url", url)

    assert ran.code == 1
    assert says in ran.err


def test_a_request_nobody_remembers_is_told() -> None:
    with stub_api() as sidecar:
        ran = run("explain", "req_9", "--url", f"http://127.0.0.1:{sidecar.port}")

    assert ran.code == 1
    assert "no request 'req_9' is known to 1 sidecar" in ran.err


def fake_kubectl(folder: Path, ports: dict[str, int], *, asked_for: int = 8317) -> str:
    """A kubectl that forwards pods to ports of this machine; returns the PATH."""
    script = folder / "kubectl"
    script.write_text(
        f"#!{sys.executable}\n"
        "import sys, time\n"
        f"ports = {ports!r}\n"
        "pod = sys.argv[2].removeprefix('pod/')\n"
        f"assert sys.argv[1] == 'port-forward' and sys.argv[3] == ':{asked_for}', sys.argv\n"
        "if pod not in ports:\n"
        "    sys.exit('error: unable to forward to ' + pod)\n"
        f"print(f'Forwarding from 127.0.0.1:{{ports[pod]}} -> {asked_for}', flush=True)\n"
        "time.sleep(60)\n"
    )
    script.chmod(0o755)
    return str(folder)


def pod(name: str, phase: str = "Running", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team-a"}, "spec": spec, "status": {"phase": phase}}


def listening(port: int) -> list[dict[str, Any]]:
    ports = [
        {"name": "cliproxy-ctl", "containerPort": 8318},
        {"name": "cliproxy-proxy", "containerPort": port},
    ]
    return [{"name": "cliproxy", "ports": ports}]


def test_the_namespaces_sidecars_are_asked_in_turn_through_kubectl(
    api: StubApi, kubeconfig: Path, tmp_path: Path
) -> None:
    api.objects[PODS] = listed(pod("a"), pod("b"), pod("c"))
    with stub_api() as first, stub_api() as second:
        second.objects[PATH] = TOLD
        path = fake_kubectl(tmp_path, {"a": first.port, "b": second.port})

        ran = run("explain", "req_1", kubeconfig=kubeconfig, PATH=path)

    assert ran.code == 0, ran.err
    assert ran.out.startswith("req_1: fast, 200, 12.5 ms")
    assert [len(first.asked), len(second.asked)] == [1, 1]


def test_a_pod_that_cannot_be_asked_keeps_nobody_from_asking_the_next(
    api: StubApi, kubeconfig: Path, tmp_path: Path
) -> None:
    phases = ("Pending", "Succeeded", "Succeeded")
    ended = [pod(f"job-{number}", phase) for number, phase in enumerate(phases)]
    api.objects[PODS] = listed(*ended, pod("broken"), pod("mute"), pod("web"))
    with stub_api() as mute, stub_api() as web:
        mute.refusals[PATH] = (503, {})
        web.objects[PATH] = TOLD
        path = fake_kubectl(tmp_path, {"mute": mute.port, "web": web.port})

        ran = run("explain", "req_1", "-o", "json", kubeconfig=kubeconfig, PATH=path)
        unknown = run("explain", "req_2", kubeconfig=kubeconfig, PATH=path)

    assert (ran.code, ran.json) == (0, TOLD)
    first, second, third = ran.err.splitlines()
    assert first == "not asked: pods that do not run: 1 Pending, 2 Succeeded"
    assert second == "not asked: pod broken: kubectl cannot forward: error: unable to forward to broken"
    assert third.startswith("not asked: pod mute: http://127.0.0.1:")
    assert third.endswith(" answers 503")
    assert unknown.code == 1
    assert "no request 'req_2' is known to 2 sidecars; not all could be asked" in unknown.err


def test_where_no_pod_can_be_asked_nothing_is_said_of_the_request(
    api: StubApi, kubeconfig: Path, tmp_path: Path
) -> None:
    api.objects[PODS] = listed(pod("done", "Failed"), pod("broken"))

    ran = run("explain", "req_1", kubeconfig=kubeconfig, PATH=fake_kubectl(tmp_path, {}))

    assert ran.code == 1
    assert "not asked: pods that do not run: 1 Failed" in ran.err
    assert "error: no sidecar could be asked" in ran.err


@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_a_sidecar_is_asked_where_it_listens(
    api: StubApi, kubeconfig: Path, tmp_path: Path, place: str
) -> None:
    moved = pod("moved", **{"containers": [{"name": "app"}], place: listening(18317)})
    api.objects[PODS] = listed(moved)
    api.objects[f"{PODS}/moved"] = moved
    with stub_api() as sidecar:
        sidecar.objects[PATH] = TOLD
        path = fake_kubectl(tmp_path, {"moved": sidecar.port}, asked_for=18317)

        for words in ([], ["--pod", "moved"]):
            ran = run("explain", "req_1", *words, kubeconfig=kubeconfig, PATH=path)
            assert ran.code == 0, ran.err
            assert ran.out.startswith("req_1: fast, 200, 12.5 ms")


def test_too_many_pods_want_a_name(api: StubApi, kubeconfig: Path, tmp_path: Path) -> None:
    api.objects[PODS] = listed(*(pod(f"web-{number}") for number in range(51)), pod("done", "Succeeded"))

    ran = run("explain", "req_1", kubeconfig=kubeconfig, PATH=fake_kubectl(tmp_path, {}))

    assert "51 pods have a sidecar here" in ran.err


def test_what_stands_in_the_way_is_passed_on(api: StubApi, kubeconfig: Path, tmp_path: Path) -> None:
    path = fake_kubectl(tmp_path, {})
    api.refusals[f"{PODS}/gone"] = (404, {"reason": "NotFound", "message": 'pods "gone" not found'})

    ran = run("explain", "req_1", "--pod", "gone", kubeconfig=kubeconfig, PATH=path)
    without = run("explain", "req_1", "--pod", "gone", kubeconfig=kubeconfig, PATH="/nonexistent")

    assert 'error: pods "gone" not found' in ran.err
    assert "kubectl is not on the PATH" in without.err
