"""The plan for v1beta1 (docs/upgrade.md), played on a kind that is LLMProvider but for its name."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.crds import for_server
from cliproxy_dev.kube import MERGE_PATCH, ApiError, Json, KubeApi
from support.cluster import CRD_PATH, NOT_FOUND, eventually
from support.operatorproc import provider_spec
from support.typed import Typist, reader

pytestmark = pytest.mark.timeout(300)
NAME = "plannedproviders.cliproxy.io"
INVALID = 422


def planned(minor: int) -> Json:
    crd = next(one for one in for_server(minor=minor) if one["spec"]["names"]["kind"] == "LLMProvider")
    names = {"kind": "PlannedProvider", "plural": "plannedproviders", "singular": "plannedprovider"}
    crd["metadata"] = {"name": NAME}
    crd["spec"]["names"] = names | {"listKind": "PlannedProviderList"}
    return crd


class Stage:
    """The kind in one namespace, release by release."""

    def __init__(self, plane: ControlPlane, api: KubeApi, namespace: str) -> None:
        self._api, self._crd = api, planned(plane.crd_minor)
        self._home = f"namespaces/{namespace}/plannedproviders"

    async def open(self) -> None:
        """Ship today's release, and let an object live in it."""
        await self._api.create(CRD_PATH, self._crd)
        await eventually(self._served, within_s=40, what="the kind is served")
        body = {
            "apiVersion": "cliproxy.io/v1alpha1",
            "kind": "PlannedProvider",
            "metadata": {"name": "veteran"},
            "spec": provider_spec() | {"priority": 3},
        }
        path = f"/apis/cliproxy.io/v1alpha1/{self._home}"
        await self._api.create(path, body)
        status = {"status": {"phase": "CoolingDown", "observedGeneration": 1}}
        await self._api.request("PATCH", f"{path}/veteran/status", body=status, content_type=MERGE_PATCH)

    async def _served(self) -> bool:
        try:
            await self._api.get(f"/apis/cliproxy.io/v1alpha1/{self._home}")
        except ApiError:
            return False
        return True

    async def ship(self, **versions: Json) -> None:
        """Upgrade the CRD as Helm does, by a merge of its spec: versions by name, and how each differs."""
        (first,) = self._crd["spec"]["versions"]
        wanted = [{**copy.deepcopy(first), "name": name, **more} for name, more in versions.items()]
        await self._api.merge_patch(f"{CRD_PATH}/{NAME}", {"spec": {"versions": wanted}})

    async def veteran(self, version: str) -> Json | None:
        """Return the object as this version, None if that is not served."""
        try:
            return await self._api.get(f"/apis/cliproxy.io/{version}/{self._home}/veteran")
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    async def stored(self) -> Any:
        return (await self._api.get(f"{CRD_PATH}/{NAME}"))["status"]["storedVersions"]

    async def resource_version(self) -> str:
        found = await self.veteran("v1beta1")
        return found["metadata"]["resourceVersion"] if found else ""


@pytest.fixture
async def stage(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Stage]:
    async with control_plane.api() as api:
        made = Stage(control_plane, api, namespace)
        await made.open()
        yield made
        await api.delete(f"{CRD_PATH}/{NAME}")


def essence(found: Json | None) -> Any:
    """Return what has to be the same in every version."""
    return found and (found["spec"], found["status"], found["metadata"]["uid"])


def as_copy(text: str) -> str:
    return text.replace("llmproviders.", "plannedproviders.")


async def test_the_plan_for_v1beta1_keeps_every_object(
    stage: Stage, control_plane: ControlPlane, tmp_path: Path
) -> None:
    env = reader(control_plane, tmp_path)
    was = essence(await stage.veteran("v1alpha1"))
    assert was

    # N: both served, stored as before.
    await stage.ship(v1alpha1={}, v1beta1={"storage": False})
    new = await eventually(lambda: stage.veteran("v1beta1"), within_s=40, what="the object as v1beta1")
    assert essence(new) == was

    # N+1: the new one is stored. Nobody may drop the old one yet: the API server sees to it.
    await stage.ship(v1alpha1={"storage": False, "deprecated": True}, v1beta1={"storage": True})
    assert await stage.stored() == ["v1alpha1", "v1beta1"]
    with pytest.raises(ApiError) as refused:
        await stage.ship(v1beta1={"storage": True})
    assert refused.value.status == INVALID

    # N+2: every object is rewritten. That changes nothing the second time, so it stands as v1beta1 then.
    before = await stage.resource_version()

    with Typist(__file__, "docs/upgrade.md", env, changed=as_copy) as typist:
        await typist.next("kubectl get llmproviders.v1beta1")

        async def stands() -> bool:
            once = await stage.resource_version()
            await typist.again()
            return before != once == await stage.resource_version()

        await eventually(stands, within_s=60, every_s=0.5, what="every object is stored anew")
        await typist.next("kubectl patch crd")
        assert await typist.next("kubectl get crd") == '["v1beta1"]'
    assert await stage.stored() == ["v1beta1"]

    # N+3: the old one goes.
    await stage.ship(v1beta1={"storage": True})

    async def gone() -> bool:
        return await stage.veteran("v1alpha1") is None

    await eventually(gone, within_s=40, what="v1alpha1 is served no longer")
    assert essence(await stage.veteran("v1beta1")) == was
