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


def fake_kubectl(folder: Path, ports: dict[str, int]) -> str:
    """A kubectl that forwards pods to ports of this machine; returns the PATH."""
    script = folder / "kubectl"
    script.write_text(
        f"#!{sys.executable}\n"
        "import sys, time\n"
        f"ports = {ports!r}\n"
        "pod = sys.argv[2].removeprefix('pod/')\n"
        "assert sys.argv[1] == 'port-forward' and sys.argv[3] == ':8317', sys.argv\n"
        "if pod not in ports:\n"
        "    sys.exit('error: pods \"' + pod + '\" not found')\n"
        "print(f'Forwarding from 127.0.0.1:{ports[pod]} -> 8317', flush=True)\n"
        "time.sleep(60)\n"
    )
    script.chmod(0o755)
    return str(folder)


def test_the_namespaces_sidecars_are_asked_in_turn_through_kubectl(
    api: StubApi, kubeconfig: Path, tmp_path: Path
) -> None:
    api.objects[PODS] = listed(
        *({"metadata": {"name": name, "namespace": "team-a"}} for name in ("a", "b", "c"))
    )
    with stub_api() as first, stub_api() as second:
        second.objects[PATH] = TOLD
        path = fake_kubectl(tmp_path, {"a": first.port, "b": second.port})

        ran = run("explain", "req_1", kubeconfig=kubeconfig, PATH=path)

    assert ran.code == 0, ran.err
    assert ran.out.startswith("req_1: fast, 200, 12.5 ms")
    assert [len(first.asked), len(second.asked)] == [1, 1]


def test_what_kubectl_says_is_passed_on(kubeconfig: Path, tmp_path: Path) -> None:
    path = fake_kubectl(tmp_path, {})

    ran = run("explain", "req_1", "--pod", "gone", kubeconfig=kubeconfig, PATH=path)
    without = run("explain", "req_1", "--pod", "gone", kubeconfig=kubeconfig, PATH="/nonexistent")

    assert 'kubectl cannot forward: error: pods "gone" not found' in ran.err
    assert "kubectl is not on the PATH" in without.err
