"""The local node agent on a real API server: pods become processes and their status tells the truth."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.nodeagent.agent import NodeAgent
from support import standin
from support.cluster import KUBECTL, eventually, kubectl

SPDY_ONLY_MINOR = 30
"""From here on API servers translate kubectl's WebSocket."""
IMAGES = {"standin": [sys.executable, "-I", standin.__file__]}
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


class Node:
    """A node agent for one test's namespace, and what the test sees of its pods."""

    def __init__(self, plane: ControlPlane, api: KubeApi, namespace: str, run_dir: Path) -> None:
        self.plane, self.api, self.namespace, self.run_dir = plane, api, namespace, run_dir
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self.http = aiohttp.ClientSession()
        self.agent = self.new_agent()

    def new_agent(self) -> NodeAgent:
        return NodeAgent(
            self.plane.endpoint_of(),
            run_dir=self.run_dir,
            images=IMAGES,
            namespaces=frozenset({self.namespace}),
            first_address="127.0.9.10",
        )

    async def create(self, name: str, *, pod: Json | None = None, **container: Any) -> Json:
        env = [POD_IP, *container.pop("env", [])]
        probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}
        main = {
            "name": "main",
            "image": "registry.example:5000/team/standin:1",
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": probe,
            "env": env,
        }
        spec = {"containers": [main | container], "terminationGracePeriodSeconds": 2} | (pod or {})
        return await self.api.create(self.pods, {"metadata": {"name": name}, "spec": spec})

    async def status(self, name: str) -> Json:
        return dict((await self.api.get(f"{self.pods}/{name}")).get("status") or {})

    async def until_ready(self, name: str, *, restarts: int = 0) -> Json:
        async def look() -> Json:
            status = await self.status(name)
            [main] = status.get("containerStatuses") or [{"restartCount": -1}]
            ready = condition(status, "Ready") == "True" and main["restartCount"] == restarts
            return status if ready else {}

        return await eventually(look, what=f"pod {name} is Ready after {restarts} restarts")

    async def env_of(self, name: str) -> dict[str, str]:
        async with self.http.get(f"http://{self.agent.address(self.namespace, name)}:8080/env") as response:
            answer: dict[str, str] = await response.json(content_type=None)
            return answer

    def pid(self, name: str) -> int | None:
        return self.agent.pod_process(self.namespace, name)


@pytest.fixture
async def node(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with control_plane.api() as api:
        made = Node(control_plane, api, namespace, tmp_path / "node")
        await made.agent.start()
        yield made
        await made.agent.stop()
        await made.http.close()
    assert not (tmp_path / "node" / "pods").exists()


def condition(status: Json, name: str) -> str:
    return next((entry["status"] for entry in status.get("conditions") or [] if entry["type"] == name), "")


def alive(pid: int) -> bool:
    return (Path("/proc") / str(pid)).exists()


async def test_a_pod_is_bound_started_and_becomes_ready(node: Node) -> None:
    await node.create("web", args=["with", "$(POD_IP)"])
    status = await node.until_ready("web")

    pod = await node.api.get(f"{node.pods}/web")
    assert pod["spec"]["nodeName"] == "local"
    assert status["phase"] == "Running"
    assert status["podIP"] == node.agent.address(node.namespace, "web")
    assert status["podIP"].startswith("127.0.")
    assert [entry["type"] for entry in status["conditions"]] == [
        "PodScheduled",
        "Initialized",
        "ContainersReady",
        "Ready",
    ]
    assert status["containerStatuses"][0]["containerID"] == f"process://{node.pid('web')}"
    log = node.agent.log_path(node.namespace, "web", "main").read_text()
    assert f"stand-in says hello with {status['podIP']}" in log


async def test_two_pods_have_two_addresses(node: Node) -> None:
    await node.create("one")
    await node.create("two")

    addresses = {(await node.until_ready(name))["podIP"] for name in ("one", "two")}

    assert len(addresses) == 2


async def test_variables_come_from_values_secrets_and_fields(node: Node) -> None:
    secret = {"metadata": {"name": "keys"}, "data": {"token": base64.b64encode(b"sesame").decode()}}
    await node.api.create(f"/api/v1/namespaces/{node.namespace}/secrets", secret)
    optional = {"name": "absent", "key": "x", "optional": True}
    await node.create(
        "env",
        env=[
            {"name": "PLAIN", "value": "at $(POD_IP)"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
            {"name": "ABSENT", "valueFrom": {"secretKeyRef": optional}},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}, {"name": "keys", "mountPath": "/keys"}],  # noqa: S108
        pod={
            "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "keys", "secret": {"secretName": "keys"}}]
        },
    )
    status = await node.until_ready("env")
    env = await node.env_of("env")

    assert env["PLAIN"] == f"at {status['podIP']}"
    assert (env["TOKEN"], env["NAME"]) == ("sesame", "env")
    assert "ABSENT" not in env
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert "PYTEST_CURRENT_TEST" not in env
    assert os.access(env["CLIPROXY_VOLUME_TMP"], os.W_OK)
    assert (Path(env["CLIPROXY_VOLUME_KEYS"]) / "token").read_text() == "sesame"


async def test_a_missing_secret_is_named_and_picked_up_when_it_appears(node: Node) -> None:
    key = {"name": "late", "key": "token"}
    await node.create("waits", env=[{"name": "TOKEN", "valueFrom": {"secretKeyRef": key}}])

    async def complaint() -> str:
        entries = (await node.status("waits")).get("containerStatuses") or [{}]
        return str(entries[0].get("state", {}).get("waiting", {}).get("message", ""))

    assert await eventually(complaint, what="the complaint") == 'secret "late" not found'
    assert node.pid("waits") is None
    body = {"metadata": {"name": "late"}, "data": {"token": base64.b64encode(b"x").decode()}}
    await node.api.create(f"/api/v1/namespaces/{node.namespace}/secrets", body)

    await node.until_ready("waits")


async def test_readiness_follows_the_probe(node: Node, tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    await node.create("flips", readinessProbe=probe, env=[{"name": "READY_FILE", "value": str(flag)}])

    async def running_unready() -> bool:
        status = await node.status("flips")
        return status.get("phase") == "Running" and condition(status, "Ready") == "False"

    await eventually(running_unready, what="running, not ready")
    flag.touch()
    await node.until_ready("flips")
    flag.unlink()
    await eventually(running_unready, what="not ready again")


async def test_a_crash_is_restarted_at_once_and_then_backs_off(node: Node) -> None:
    await node.create("crashes")
    await node.until_ready("crashes")
    first = node.pid("crashes")
    assert first is not None

    os.kill(first, signal.SIGKILL)
    status = await node.until_ready("crashes", restarts=1)
    second = node.pid("crashes")
    assert second not in (None, first)
    last = status["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "Error")

    with pytest.raises(aiohttp.ClientError):
        await node.http.get(f"http://{status['podIP']}:8080/exit")

    async def back_off() -> Json | None:
        state = (await node.status("crashes"))["containerStatuses"][0]["state"]
        return state if "waiting" in state else None

    state = await eventually(back_off, what="CrashLoopBackOff") or {}
    assert state["waiting"]["reason"] == "CrashLoopBackOff"
    status = await node.until_ready("crashes", restarts=2)
    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3


async def test_a_pod_that_ends_well_and_may_end_has_succeeded(node: Node) -> None:
    await node.create("job", pod={"restartPolicy": "Never"}, command=[sys.executable, "-c", "print(1)"])

    async def phase() -> bool:
        return str((await node.status("job")).get("phase")) == "Succeeded"

    await eventually(phase, what="Succeeded")
    assert node.pid("job") is None


async def test_deletion_stops_the_process_then_lets_the_object_go(node: Node) -> None:
    await node.create("leaves")
    await node.create("stubborn", env=[{"name": "STUBBORN", "value": "1"}])
    pids = []
    for name in ("leaves", "stubborn"):
        await node.until_ready(name)
        pids.append(node.pid(name))

    for name in ("leaves", "stubborn"):
        await node.api.delete(f"{node.pods}/{name}")

    async def gone() -> bool:
        return not (await node.api.get(node.pods))["items"]

    await eventually(gone, what="both pods are gone")
    assert not any(alive(pid) for pid in pids if pid is not None)
    assert None not in pids
    assert node.agent.address(node.namespace, "leaves") is None


async def test_an_unknown_image_is_played_without_a_process(node: Node) -> None:
    await node.create("app", image="registry.example/app:1")

    status = await node.until_ready("app")

    assert status["phase"] == "Running"
    assert node.pid("app") is None


async def test_a_new_agent_takes_over_the_pods_of_the_old_one(node: Node) -> None:
    await node.create("stays")
    before = await node.until_ready("stays")
    old = node.pid("stays")

    await node.agent.stop()
    assert old is not None
    assert not alive(old)
    node.agent = node.new_agent()
    await node.agent.start()

    after = await node.until_ready("stays", restarts=1)
    assert after["podIP"] == before["podIP"]
    assert after["startTime"] == before["startTime"]


async def test_an_api_server_outage_leaves_processes_alone_and_loses_nothing(node: Node) -> None:
    await node.create("kept")
    await node.create("dropped")
    for name in ("kept", "dropped"):
        await node.until_ready(name)
    kept = node.pid("kept")
    crashed = node.pid("dropped")
    assert kept is not None
    assert crashed is not None

    await node.plane.stop_apiserver(kill=True)
    os.kill(crashed, signal.SIGKILL)
    await eventually(lambda: _new_pid(node, "dropped", crashed), what="a restart without an API server")
    assert (await node.env_of("kept"))["HOSTNAME"] == "kept"
    await node.plane.start_apiserver()

    status = await node.until_ready("dropped", restarts=1)
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
    assert node.pid("kept") == kept
    await node.api.delete(f"{node.pods}/kept")
    await eventually(lambda: _absent(node, "kept"), what="a deletion after the outage is seen")
    assert not alive(kept)


async def test_a_steady_pod_causes_no_writes(node: Node) -> None:
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
    await node.create("quiet", readinessProbe=probe)
    await node.until_ready("quiet")
    version = (await node.api.get(f"{node.pods}/quiet"))["metadata"]["resourceVersion"]
    asked = int((await node.env_of("quiet"))["ASKED"])

    async def probed_twice_more() -> bool:
        return int((await node.env_of("quiet"))["ASKED"]) >= asked + 2

    await eventually(probed_twice_more, what="two more probes")
    # A second pod coming up takes the agent through its whole round as well.
    await node.create("other")
    await node.until_ready("other")

    assert (await node.api.get(f"{node.pods}/quiet"))["metadata"]["resourceVersion"] == version


async def test_kubectl_runs_commands_in_a_pod(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    if control_plane.minor >= SPDY_ONLY_MINOR:
        pytest.skip("from 1.30 on API servers ask kubelets for SPDY, which the node agent does not speak")
    agent = NodeAgent(
        control_plane.endpoint_of(),
        run_dir=tmp_path / "node",
        images=IMAGES,
        node_name=f"node-{namespace}",
        namespaces=frozenset({namespace}),
        first_address="127.0.9.10",
        serve_logs=True,
    )
    environment = [{"name": "GREETING", "value": "at 127.0.0.1"}]
    spec = {"containers": [{"name": "app", "image": "app", "env": environment}]}

    async def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(kubectl, control_plane, "-n", namespace, *words, stdin=stdin)

    async with control_plane.api() as api, agent:
        await api.create(f"/api/v1/namespaces/{namespace}/pods", {"metadata": {"name": "web"}, "spec": spec})
        waited = await run("wait", "pod/web", "--for=condition=Ready", "--timeout=30s")
        assert waited.returncode == 0, waited.stderr
        address = agent.address(namespace, "web")

        seen = await run("exec", "web", "--", "sh", "-c", "echo $GREETING 127.0.0.1; echo oops >&2")
        assert (seen.returncode, seen.stdout) == (0, f"at {address} {address}\n"), seen.stderr
        assert seen.stderr.endswith("oops\n")
        fed = await run("exec", "-i", "web", "--", "wc", "-c", stdin="x" * 200_000)
        assert (fed.returncode, fed.stdout.strip()) == (0, "200000"), fed.stderr
        failed = await run("exec", "web", "--", "sh", "-c", "exit 7")
        assert (failed.returncode, failed.stdout) == (7, "")
        absent = await run("exec", "web", "--", "no-such-program")
        assert absent.returncode != 0
        await _left_alone(control_plane, namespace)


async def _left_alone(plane: ControlPlane, namespace: str) -> None:
    """Start a command without an end by kubectl, which is then killed: the command goes as well."""
    words = ["--kubeconfig", str(plane.kubeconfig), "-n", namespace, "exec", "web", "--"]
    asking = await asyncio.create_subprocess_exec(
        str(KUBECTL), *words, "sh", "-c", "echo $$; sleep 1000", stdout=asyncio.subprocess.PIPE
    )
    assert asking.stdout is not None
    pid = int(await asking.stdout.readline())
    assert alive(pid)
    asking.kill()
    await asking.wait()

    async def gone() -> bool:
        return not alive(pid)

    await eventually(gone, what="the command has ended")


async def _new_pid(node: Node, name: str, old: int) -> bool:
    return node.pid(name) not in (None, old)


async def _absent(node: Node, name: str) -> bool:
    try:
        await node.api.get(f"{node.pods}/{name}")
    except ApiError as error:
        return error.status == 404
    return False
