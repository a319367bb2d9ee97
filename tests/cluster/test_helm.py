"""The chart by Helm on a real API server: a release's life, and what the operator says of missing things."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from cliproxy_dev import crds, kubeconfig
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import MERGE_PATCH, ApiError, Json, KubeApi
from cliproxy_dev.ports import free_ports
from support.admission import Hooks
from support.cluster import LoopThread, eventually
from support.helm import Helm
from support.operatorproc import OperatorProcess, Shop
from support.releases import CHART, CRD_PATH, OPERATOR, Release, exists, our_crds, released, remove_crds

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def plane(fixture_loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server of these tests' own: they install and remove CRDs."""
    own = ControlPlane(tmp_path_factory.mktemp("helm-plane"))
    fixture_loop.call(own.start())
    yield own
    fixture_loop.call(own.stop())


@pytest.fixture
async def api(plane: ControlPlane) -> AsyncIterator[KubeApi]:
    async with plane.api() as api:
        await remove_crds(api)
        yield api


@pytest.fixture
async def release(plane: ControlPlane, api: KubeApi, helm: Helm) -> AsyncIterator[Release]:
    async with released(helm, plane) as release:
        yield release


def older(folder: Path) -> Path:
    """Return a chart of an earlier version, whose LLMProvider had no `spec.weight`."""
    chart = shutil.copytree(CHART, folder / "chart")
    about = yaml.safe_load((chart / "Chart.yaml").read_text("utf-8"))
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about | {"version": "0.0.9"}), "utf-8")
    path = chart / "files" / "crds" / "llmproviders.yaml"
    crd = yaml.safe_load(path.read_text("utf-8"))
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("weight")
    path.write_text(yaml.safe_dump(crd, sort_keys=False, width=10_000), "utf-8")
    return chart


async def knows_weight(api: KubeApi) -> bool:
    crd = await api.get(f"{CRD_PATH}/llmproviders.cliproxy.io")
    spec: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return "weight" in spec


async def test_install_upgrade_rollback_uninstall(release: Release, api: KubeApi, tmp_path: Path) -> None:
    deployment = f"/apis/apps/v1/namespaces/{release.namespace}/deployments/{OPERATOR}"
    budget = f"/apis/policy/v1beta1/namespaces/{release.namespace}/poddisruptionbudgets/{OPERATOR}"

    notes = release.install(chart=older(tmp_path))
    assert "helm test" in notes
    assert len(await our_crds(api)) == 4
    assert not await knows_weight(api)
    assert await exists(api, budget)
    shop = Shop(api, release.namespace)
    before = await lived_with(shop)

    release.install(
        "replicas=3", "gateway.enabled=true", "gateway.autoscaling.enabled=true", "backup.enabled=true"
    )
    assert await knows_weight(api), "an upgrade upgrades the CRDs"
    await eventually(
        lambda: weighs(shop), within_s=30, what="what is new has its default in objects that lived before"
    )
    assert await stands(shop) == before, "objects and their status outlive the upgrade untouched"
    assert (await api.get(deployment))["spec"]["replicas"] == 3
    gateway = await api.get(f"{deployment}-gateway")
    assert gateway["spec"]["template"]["metadata"]["labels"]["cliproxy.io/sidecar"] == "true"

    refused = release.run("upgrade", str(release.chart), "--set=replicas=many")
    assert refused.returncode != 0
    assert "replicas" in refused.stderr
    assert (await api.get(deployment))["spec"]["replicas"] == 3

    rolled = release.run("rollback", "1")
    assert rolled.returncode == 0, rolled.stderr
    assert (await api.get(deployment))["spec"]["replicas"] == 2
    assert not await exists(api, f"{deployment}-gateway")
    assert not await knows_weight(api)
    assert await stands(shop) == before, "and the way back"

    release.install()
    await eventually(lambda: served(shop), what="the kinds are served")
    await shop.provider("claude")
    assert release.run("uninstall").returncode == 0
    assert not await exists(api, deployment)
    assert not await exists(api, f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{OPERATOR}")
    assert (await shop.get("LLMProvider", "claude"))["spec"]["type"] == "anthropic", (
        "objects outlive the release"
    )

    release.install("crds.keep=false")
    assert release.run("uninstall").returncode == 0
    await eventually(lambda: nothing_left(api), what="crds.keep=false lets the CRDs go")


async def lived_with(shop: Shop) -> Json:
    """Create an object that the older chart's operator has judged; return how it stands."""
    await eventually(lambda: served(shop), what="the kinds are served")
    await shop.provider("veteran", priority=3)
    status = {"phase": "CoolingDown", "observedGeneration": 1, "cooldownUntil": "2030-01-01T00:00:00Z"}
    body = {"status": status}
    path = f"{shop.path('LLMProvider', 'veteran')}/status"
    await shop.api.request("PATCH", path, body=body, content_type=MERGE_PATCH)
    return await stands(shop)


async def stands(shop: Shop) -> Json:
    """Return what must outlive an upgrade: identity, version, what was asked for and what was found out."""
    found = await shop.get("LLMProvider", "veteran")
    metadata = {name: found["metadata"][name] for name in ("uid", "generation", "resourceVersion")}
    return {**metadata, "priority": found["spec"]["priority"], "status": found["status"]}


async def weighs(shop: Shop) -> bool:
    return (await shop.get("LLMProvider", "veteran"))["spec"].get("weight") == 1


async def served(shop: Shop) -> bool:
    try:
        await shop.api.get(f"/apis/cliproxy.io/v1alpha1/namespaces/{shop.namespace}/llmproviders")
    except ApiError:
        return False
    return True


async def nothing_left(api: KubeApi) -> bool:
    return not await our_crds(api)


@pytest.fixture
def loopback(tmp_path: Path) -> Path:
    """Return values that bind the operator to ports which this machine has free."""
    values = tmp_path / "values.yaml"
    names = ("CLIPROXY_PORT", "CLIPROXY_WEBHOOK_PORT", "CLIPROXY_CONTROL_PORT")
    entries = [{"name": name, "value": str(port)} for name, port in zip(names, free_ports(3), strict=True)]
    entries += [{"name": f"CLIPROXY_{name}HOST", "value": "127.0.0.1"} for name in ("", "WEBHOOK_")]
    values.write_text(yaml.safe_dump({"extraEnv": entries}), "utf-8")
    return values


class Deployed(OperatorProcess):
    """The operator with its Deployment's variables and its ServiceAccount's rights."""

    def __init__(
        self, release: Release, folder: Path, given: dict[str, str], account: kubeconfig.Endpoint
    ) -> None:
        super().__init__(release.plane, release.namespace, folder)
        config = folder / "account.kubeconfig"
        kubeconfig.write(config, account, user=OPERATOR)
        ours = {name: value for name, value in self.env.items() if not name.startswith("CLIPROXY")}
        self.env.clear()
        self.env.update(ours | {"KUBECONFIG": str(config)} | given)
        self.port = int(given["CLIPROXY_PORT"])
        self.process._env = self.env


async def deployed(release: Release, api: KubeApi, folder: Path) -> Deployed:
    return Deployed(release, folder, await release.environment(api), await release.account(api))


@pytest.mark.parametrize("namespaced", [False, True], ids=["cluster", "namespaced"])
async def test_the_chart_gives_the_operator_what_it_needs(
    release: Release, api: KubeApi, tmp_path: Path, loopback: Path, *, namespaced: bool
) -> None:
    mode = (f"watchNamespaces={{{release.namespace}}}",) if namespaced else ()
    release.install(*mode, values=loopback)
    async with await deployed(release, api, tmp_path) as operator:
        await operator.ready()
        shop = Shop(api, release.namespace)
        await shop.secret()
        await shop.provider("claude")
        await eventually(lambda: shop.condition("claude", "Accepted"), what="the provider has a status")
        path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/cliproxy-operator"

        async def trusted() -> bool:
            return all("caBundle" in one["clientConfig"] for one in (await api.get(path))["webhooks"])

        await eventually(trusted, what="the operator has written the caBundles")
        assert await exists(api, f"/api/v1/namespaces/{release.namespace}/secrets/cliproxy-ca")
        assert "Forbidden" not in operator.log()
        assert "forbidden" not in operator.log()
        assert await operator.metric("cliproxy_operator_loop_failures_total") == 0


async def reasons(operator: OperatorProcess) -> str:
    try:
        _, body = await operator.get("/health/ready")
    except OSError:
        return ""
    return " ".join(body["reasons"])


async def test_what_is_missing_is_named_and_waited_for(
    release: Release, api: KubeApi, tmp_path: Path, loopback: Path
) -> None:
    """Rights and CRDs come one after the other, and the operator is never started again."""
    unready = ("crds.install=false",)
    release.install(*unready, "rbac.create=false", values=loopback)
    async with await deployed(release, api, tmp_path) as operator:

        async def told(*words: str) -> bool:
            said = await reasons(operator)
            return all(word in said for word in words)

        await eventually(
            lambda: told("not allowed to list pods", "RBAC", "rbac.create", "Lease"),
            within_s=30,
            what="readiness names the rights",
        )
        assert (await operator.get("/health/live"))[0] == 200

        release.install(*unready, values=loopback)
        await eventually(
            lambda: told("llmproviders.cliproxy.io is not installed", "crds.install"),
            within_s=30,
            what="readiness names the CRDs",
        )
        assert "llmproviders.cliproxy.io is not installed" in operator.log()

        for crd in crds.for_server(minor=release.plane.minor):
            await api.create(CRD_PATH, crd)
        await operator.ready()


async def test_a_missing_certificate_is_named_and_waited_for(
    release: Release, api: KubeApi, tmp_path: Path, loopback: Path
) -> None:
    for crd in crds.for_server(minor=release.plane.minor):
        await api.create(CRD_PATH, crd)
    release.install("crds.install=false", values=loopback)
    given = await release.environment(api)
    given["CLIPROXY_WEBHOOK_CERTIFICATE"] = "provided"  # as with cert-manager, whose kinds this server lacks
    async with Deployed(release, tmp_path, given, await release.account(api)) as operator:

        async def named() -> bool:
            return f"{release.namespace}/cliproxy-webhook-tls" in await reasons(operator)

        await eventually(named, within_s=30, what="readiness names the Secret")
        said = await reasons(operator)
        assert "certManager" in said
        await Hooks(api, release.namespace, release.namespace).provide_certificate()
        await operator.ready()
