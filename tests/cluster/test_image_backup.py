"""The chart's backup CronJob as its controller would run it: pods of its template, from the operator's image.

There is no controller manager here, so the test makes the pods; the volume claim is a folder of the node
agent, as no provisioner runs. All else is the installed CronJob's own: account, arguments, mounts, a
container for each namespace.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.images.build import Image
from cliproxy_dev.images.engine import obtain
from cliproxy_dev.images.play import player
from cliproxy_dev.kube import Json, KubeApi
from cliproxy_dev.nodeagent.agent import NodeAgent
from support.cluster import create_namespace, eventually, remove_namespace
from support.helm import Helm
from support.operatorproc import Shop
from support.releases import OPERATOR, Release, released

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.environ.get("TEST_IMAGES") != "1", reason="make test-images builds and plays them"),
]
USER = 65532
KEEP = 2
KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
async def release(control_plane: ControlPlane, crds: object, helm: Helm) -> AsyncIterator[Release]:
    async with released(helm, control_plane) as release:
        yield release


@pytest.fixture
async def other(control_plane: ControlPlane) -> AsyncIterator[str]:
    name = await create_namespace(control_plane)
    yield name
    await remove_namespace(control_plane, name)


@pytest.fixture
async def node(
    release: Release, control_plane: ControlPlane, images: dict[str, Image], tmp_path: Path
) -> AsyncIterator[NodeAgent]:
    agent = NodeAgent(
        control_plane.endpoint_of(),
        run_dir=tmp_path / "node",
        images={"cliproxy-operator": player(obtain(os.environ, Progress()), images["operator"])},
        node_name=f"node-{release.namespace}",
        namespaces=frozenset({release.namespace}),
        first_address="127.0.22.10",
        volume_owner=USER,
    )
    async with agent:
        yield agent


async def ended(release: Release, api: KubeApi, name: str) -> str:
    """Return the phase in which the pod has ended, empty until then."""
    pod = await api.get(f"/api/v1/namespaces/{release.namespace}/pods/{name}")
    phase = str((pod.get("status") or {}).get("phase", ""))
    return phase if phase in {"Succeeded", "Failed"} else ""


async def run(release: Release, api: KubeApi, template: Json, name: str) -> str:
    """Make a pod of the template, as the Job's controller does, and return how it ended."""
    pod = {"metadata": {**template["metadata"], "name": name}, "spec": template["spec"]}
    await api.create(f"/api/v1/namespaces/{release.namespace}/pods", pod)
    what = f"the pod {name} has ended"
    return await eventually(lambda: ended(release, api, name), within_s=120, every_s=0.3, what=what)


def verified(backup: Path, key: Path) -> str:
    words = [sys.executable, "-m", "cliproxy_cli", "backup", "verify", str(backup), f"--key-file={key}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 -- our own words
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def test_the_cronjobs_pods_back_up_and_keep_as_many_as_they_should(
    release: Release, control_plane: ControlPlane, node: NodeAgent, other: str, tmp_path: Path
) -> None:
    namespace, key = release.namespace, tmp_path / "key"
    key.write_text(KEY, "ascii")
    async with control_plane.api() as api:
        release.install(
            "crds.install=false",
            "webhooks.enabled=false",
            f"watchNamespaces={{{other},{namespace}}}",
            "backup.enabled=true",
            "backup.secrets=true",
            "backup.encryptionSecret=sealing",
            f"backup.keep={KEEP}",
        )
        secret = {"metadata": {"name": "sealing"}, "stringData": {"key": KEY}}
        await api.create(f"/api/v1/namespaces/{namespace}/secrets", secret)
        shop = Shop(api, namespace)
        await shop.secret()
        await shop.provider("gpt", type="openai", models=[{"name": "gpt-4o"}])
        path = f"/apis/batch/v1beta1/namespaces/{namespace}/cronjobs/{OPERATOR}-backup"
        template = (await api.get(path))["spec"]["jobTemplate"]["spec"]["template"]
        names = [one["name"] for one in template["spec"]["containers"]]
        assert names == [f"backup-{other}", f"backup-{namespace}"]
        volume = tmp_path / "node" / "claims" / f"{namespace}_{OPERATOR}-backup"

        for number in range(KEEP + 1):
            phase = await run(release, api, template, f"backup-{number}")
            assert phase == "Succeeded", "\n".join(log(node, namespace, number, one) for one in names)

        kept = sorted(volume.glob(f"*{namespace}*"))
        assert len(kept) == KEEP
        theirs = sorted(volume.glob(f"*{other}*"))
        assert len(theirs) == KEEP
        for backup in kept:
            assert (backup.stat().st_uid, backup.stat().st_mode & 0o777) == (USER, 0o600)
        said = verified(kept[-1], key)
        assert "gpt" in said, said

        bindings = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{other}/rolebindings"
        await api.delete(f"{bindings}/{OPERATOR}-backup")
        assert await run(release, api, template, "backup-refused") == "Failed"
        assert "forbidden" in log(node, namespace, "refused", names[0])
        assert sorted(volume.glob(f"*{other}*")) == theirs
        newest = max(volume.glob(f"*{namespace}*"))
        assert newest not in kept, "a namespace that cannot be read is none of the others' business"


def log(node: NodeAgent, namespace: str, run: object, container: str) -> str:
    path = node.log_path(namespace, f"backup-{run}", container)
    return path.read_text("utf-8") if path.exists() else "it has said nothing"
