"""What a newcomer types on a cluster of their own, from the pages: from `helm install` to the last deletion.

The cluster is a real API server, kubectl and Helm. Pods are processes; the node agent plays kubelet (`exec`
and `logs` by way of the API server), kube-proxy and the controllers of Deployments. The provider is scripted:
what the pages say of OpenAI is pointed at it. `make test-images` runs the images themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import wants_existing_cluster
from cliproxy_dev.controlplane.settings import LOOPBACK_SERVICES
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.nodeagent.agent import NodeAgent
from cliproxy_dev.nodeagent.deployments import Deployments
from cliproxy_dev.nodeagent.services import Services
from cliproxy_dev.providers.provider import ScriptedProvider
from support.cluster import LoopThread, eventually, remove_namespace
from support.helm import Helm
from support.operatorproc import Shop
from support.typed import Typist, reader

pytestmark = pytest.mark.timeout(600)
HOME = "cliproxy-system"
KEY = "sk-planted-key"
IMAGES = {
    "cliproxy-operator": [sys.executable, "-m", "cliproxy_operator"],
    "cliproxy-sidecar": [sys.executable, "-m", "cliproxy_sidecar"],
    "curl": [],
}
SPDY_ONLY_MINOR = 30
PROGRAMS = {"/app/bin/python": sys.executable}
"""What is where in the images, for `helm test`, whose pod is a process here."""


@pytest.fixture(scope="module")
def plane(fixture_loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server of these tests' own, with Services that can be reached."""
    if wants_existing_cluster(os.environ):
        pytest.skip("a cluster of somebody's own runs its pods itself, and keeps its CRDs")
    own = ControlPlane(tmp_path_factory.mktemp("newcomer"), services=LOOPBACK_SERVICES)
    fixture_loop.call(own.start())
    yield own
    fixture_loop.call(own.stop())


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that runs what it is given, and a reader's shell before it."""

    plane: ControlPlane
    api: KubeApi
    agent: NodeAgent
    env: dict[str, str]

    def said(self) -> str:
        """Return what the pods said, for the message of a failure."""
        logs = sorted((self.agent.log_path("", "", "").parent).glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text('utf-8')[-2000:]}" for path in logs)


@pytest.fixture
async def cluster(
    plane: ControlPlane, helm: Helm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cluster]:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "helm").symlink_to(helm.program)
    env = reader(plane, tmp_path / "home", programs=programs) | {"OPENAI_API_KEY": KEY}
    monkeypatch.setenv("PATH", env["PATH"])  # of pods that are processes, too
    endpoint = plane.endpoint_of()
    agent = NodeAgent(
        endpoint,
        run_dir=tmp_path / "node",
        images=IMAGES,
        programs=PROGRAMS,
        first_address="127.0.25.10",
        addresses=40,
        serve_logs=True,
    )
    async with plane.api() as api, agent, Services(endpoint), Deployments(endpoint):
        yield Cluster(plane, api, agent, env)


@contextlib.contextmanager
def telling(cluster: Cluster) -> Iterator[None]:
    """Print what the pods said; pytest shows it when the test fails."""
    try:
        yield
    finally:
        print(cluster.said())  # noqa: T201


async def test_start_on_any_cluster(cluster: Cluster) -> None:
    """docs/start.md: a question from a pod without a key is answered by the provider with it."""
    if cluster.plane.minor >= SPDY_ONLY_MINOR:
        pytest.skip("API servers ask kubelets for SPDY here, which the node agent's exec does not speak")
    shop = Shop(cluster.api, "default")
    async with ScriptedProvider(kind="openai", keys={"main": KEY}) as provider:
        with telling(cluster), Typist(__file__, "docs/start.md", cluster.env) as typist:
            await typist.next("helm install")
            assert "successfully rolled out" in await typist.next(
                "kubectl --namespace cliproxy-system rollout"
            )
            await eventually(lambda: asked(cluster.api), within_s=30, what="the webhook is asked")
            await typist.next("kubectl create secret")
            await typist.next("kubectl apply")
            await typist.next("kubectl wait")
            assert "openai" in await typist.next("kubectl get llmprovider")
            # The one thing that is played: here is no OpenAI.
            path = shop.path("LLMProvider", "my-openai")
            await cluster.api.merge_patch(path, {"spec": {"baseURL": provider.base_url}})

            await typist.next("kubectl apply")
            await typist.next("kubectl rollout status")
            assert "2/2" in await typist.next("kubectl get pods")
            assert "OPENAI_BASE_URL=http://" in (found := await typist.next("kubectl exec"))
            assert KEY not in found
            answer = await typist.next("kubectl exec")
            assert " 200 " in answer
            assert "x-cliproxy-provider: my-openai" in answer.lower()
            [request] = [one for one in provider.requests if one.path == "/v1/chat/completions"]
            assert request.credential == "main"

            await typist.next("kubectl delete deployment")
            await typist.rest()
        await eventually(lambda: no_pods(cluster.api), within_s=60, what="every pod has gone")


async def test_install_upgrade_uninstall_and_the_kept_authority(cluster: Cluster) -> None:
    """docs/install.md with all its commands; docs/backup.md's authority, sealed and put back meanwhile."""
    with (
        telling(cluster),
        Typist(__file__, "docs/install.md", cluster.env) as install,
        Typist(__file__, "docs/backup.md", cluster.env) as backup,
    ):
        notes = await install.next("helm install")
        await install.next("kubectl --namespace cliproxy-system rollout status")
        assert "Phase:          Succeeded" in await install.next("helm test")
        await install.typed(commands_in(notes))
        await eventually(lambda: accepted(cluster.api), within_s=60, what="the notes' provider is accepted")
        await install.next("helm upgrade")  # with a wrong value
        await install.next("helm upgrade")
        await install.next("helm rollback")

        authority = await secret(cluster.api, "cliproxy-ca")
        await backup.next("openssl")
        await backup.next("kubectl -n cliproxy-system get secret")
        await install.next("helm uninstall")
        await eventually(lambda: no_pods(cluster.api), within_s=60, what="every pod has gone")
        assert (await secret(cluster.api, "cliproxy-ca")) == authority, "it outlives the release"
        await cluster.api.delete(f"/api/v1/namespaces/{HOME}/secrets/cliproxy-ca")
        await backup.rest()
        assert (await secret(cluster.api, "cliproxy-ca")) == authority

        for name in ("secrets/provider-keys", "llmproviders/claude"):  # the notes' own
            group = "/api/v1" if name.startswith("secrets") else "/apis/cliproxy.io/v1alpha1"
            await cluster.api.delete(f"{group}/namespaces/default/{name}")
        label = {"metadata": {"labels": {"cliproxy.io/inject": None}}}
        await cluster.api.merge_patch("/api/v1/namespaces/default", label)
        kept = await our_secrets(cluster.api)
        assert {("default", "cliproxy-snapshot"), (HOME, "cliproxy-ca")} <= kept, "they outlive the release"
        await install.next("kubectl delete secret")
        assert await our_secrets(cluster.api) == set()
        await install.next("kubectl delete crd")
        await asyncio.gather(install.next("kubectl delete namespace"), finalized(cluster))


def commands_in(notes: str) -> str:
    """Return what Helm's notes tell to type, as one script: the indented lines below "Next:"."""
    _, _, told = notes.partition("\nNext:\n")
    lines = [line.removeprefix("   ") for line in told.splitlines() if line.startswith("   ")]
    assert sum(line.startswith(("kubectl ", "helm ")) for line in lines) >= 5, notes
    return "\n".join(lines)


async def accepted(api: KubeApi) -> bool:
    condition = await Shop(api, "default").condition("claude", "Accepted")
    return bool(condition) and condition["status"] == "True"


async def secret(api: KubeApi, name: str) -> Json:
    data: Json = (await api.get(f"/api/v1/namespaces/{HOME}/secrets/{name}"))["data"]
    return data


async def our_secrets(api: KubeApi) -> set[tuple[str, str]]:
    """Return (namespace, name) of the Secrets that may hold a provider's key, or one of ours."""
    found = (await api.get("/api/v1/secrets"))["items"]
    names = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in found}
    return {(namespace, name) for namespace, name in names if name.startswith("cliproxy-")}


async def finalized(cluster: Cluster) -> None:
    """Do the namespace controller's work, once the namespace is to go."""

    async def terminating() -> bool:
        try:
            found = await cluster.api.get(f"/api/v1/namespaces/{HOME}")
        except ApiError:
            return True
        return "deletionTimestamp" in found["metadata"]

    await eventually(terminating, within_s=60, what="the namespace is to go")
    await remove_namespace(cluster.plane, HOME)


async def asked(api: KubeApi) -> bool:
    """Whether the API server asks the operator about pods: it takes a moment to learn where."""
    body = {
        "metadata": {"name": "is-it-there", "labels": {"cliproxy.io/inject": "true"}},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }
    made = await api.request("POST", "/api/v1/namespaces/default/pods", body=body, params={"dryRun": "All"})
    return any(one["name"] == "cliproxy" for one in made["spec"]["containers"])


async def no_pods(api: KubeApi) -> bool:
    return not (await api.get("/api/v1/pods"))["items"]
