"""The control plane itself: who may do what, what is counted, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from cliproxy_dev import kubeconfig
from cliproxy_dev.controlplane.find import Unavailable, wants_existing_cluster
from cliproxy_dev.controlplane.start import ControlPlane, NotOurs
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.process import tail
from support.cluster import eventually, kubectl

own_cluster_only = pytest.mark.skipif(
    wants_existing_cluster(os.environ), reason="says something about the control plane that we start"
)


def test_kubectl_talks_to_it_as_admin(control_plane: ControlPlane, namespace: str) -> None:
    made = kubectl(
        control_plane,
        "-n",
        namespace,
        "apply",
        "-f",
        "-",
        stdin='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"greeting"},"data":{"word":"hello"}}',
    )
    read = kubectl(control_plane, "-n", namespace, "get", "cm", "greeting", "-o", "jsonpath={.data.word}")

    assert made.returncode == 0, made.stderr
    assert read.stdout == "hello"


@own_cluster_only
async def test_nobody_may_do_nothing(control_plane: ControlPlane, namespace: str) -> None:
    async with control_plane.api("nobody") as api:
        with pytest.raises(ApiError) as refused:
            await api.get(f"/api/v1/namespaces/{namespace}/pods")

    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    assert '"nobody"' in refused.value.message


@own_cluster_only
async def test_rights_are_what_rbac_grants_and_no_more(control_plane: ControlPlane, namespace: str) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    async with control_plane.api() as admin, control_plane.api("nobody") as nobody:
        await admin.create(f"{rbac}/roles", {"metadata": {"name": "reader"}, "rules": rules})
        await admin.create(
            f"{rbac}/rolebindings", {"metadata": {"name": "reader"}, "roleRef": role, "subjects": [subject]}
        )

        async def may_list() -> bool:
            try:
                await nobody.get(f"/api/v1/namespaces/{namespace}/pods")
            except ApiError:
                return False
            return True

        await eventually(may_list, what="the role binding in force")
        with pytest.raises(ApiError) as refused:
            await nobody.get(f"/api/v1/namespaces/{namespace}/secrets")

    assert refused.value.status == 403


@own_cluster_only
async def test_writes_are_counted_with_their_author(control_plane: ControlPlane, namespace: str) -> None:
    async with control_plane.api() as api:
        await api.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "counted"}})
        await api.get(f"/api/v1/namespaces/{namespace}/configmaps/counted")

    def verbs(user: str) -> list[str]:  # other tests write to this server as well, in other namespaces
        entries = control_plane.writes(user=user)
        return [
            entry["verb"]
            for entry in entries
            if entry["objectRef"].get("namespace") == namespace
            and entry["objectRef"]["resource"] == "configmaps"
        ]

    assert verbs("admin") == ["create"]
    assert verbs("nobody") == []


@own_cluster_only
async def test_killed_and_restarted_it_keeps_address_trust_and_data(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    broken = run_dir / "controlplane" / "etcd" / "member" / "snap" / "db"  # of an earlier run that was killed
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"half a page")
    async with ControlPlane(run_dir) as plane:
        async with plane.api() as api:
            await api.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "kept"}})
            before = plane.server, plane.ca_file.read_text("ascii")

            await plane.restart_apiserver(kill=True)

            kept = await api.get("/api/v1/namespaces/default/configmaps/kept")
        assert kept["metadata"]["name"] == "kept"
        assert (plane.server, plane.ca_file.read_text("ascii")) == before
    assert list(run_dir.iterdir()) == []


@own_cluster_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_it_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    run_dir, words = tmp_path / "run", tmp_path / "words"
    command = [sys.executable, "-m", "cliproxy_dev.controlplane", "up", "--dir", str(run_dir)]
    with words.open("wb") as file:
        parent = await asyncio.create_subprocess_exec(*command, stdout=file, stderr=file)
    try:
        await eventually(lambda: _says(words, "KUBECONFIG="), within_s=50, what="the control plane is up")
        async with KubeApi.from_kubeconfig(run_dir / "kubeconfig") as api:
            await api.get("/readyz")
        children = _children(parent.pid)
        assert sorted(children.values()) == ["etcd", "kube-apiserver"]
    finally:
        parent.send_signal(number)
        await parent.wait()

    await eventually(lambda: _gone(list(children)), what="etcd and kube-apiserver are gone")
    assert parent.returncode == (0 if number is signal.SIGINT else -number)
    assert run_dir.exists() is (number is signal.SIGKILL)  # nobody is left to tidy up after kill -9


async def _says(path: Path, word: str) -> bool:
    return word in tail(path)


async def _gone(pids: list[int]) -> bool:
    return not any((Path("/proc") / str(pid) / "exe").is_symlink() for pid in pids)


def _children(parent: int) -> dict[int, str]:
    """Return the children of a process, id to program name."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = stat.read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:  # it ended while we looked
            continue
        if int(rest.split()[1]) == parent:
            found[int(stat.parent.name)] = name
    return found


async def test_an_existing_cluster_is_used_and_left_alone(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    env = {"USE_EXISTING_CLUSTER": "1", "KUBECONFIG": str(control_plane.kubeconfig)}
    run_dir = tmp_path / "run"
    async with ControlPlane(run_dir, env=env) as plane:
        assert plane.existing
        assert (plane.server, plane.minor) == (control_plane.server, control_plane.minor)
        async with plane.api() as api:
            await api.get("/api/v1/namespaces/default")
        with pytest.raises(NotOurs):
            await plane.stop_apiserver()

    async with control_plane.api() as api:
        assert (await api.get("/readyz"))["text"] == "ok"
    assert control_plane.kubeconfig.exists()
    assert not run_dir.exists()


async def test_a_cluster_that_is_away_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config"
    kubeconfig.write(path, kubeconfig.Endpoint(server="https://127.0.0.1:9", token="t"))
    env = {"USE_EXISTING_CLUSTER": "1", "KUBECONFIG": str(path)}

    with pytest.raises(Unavailable, match=r"https://127\.0\.0\.1:9 cannot be used"):
        await ControlPlane(tmp_path / "run", env=env).start()
