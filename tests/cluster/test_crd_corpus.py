"""The real API server takes the CRDs and gives the corpus the verdict that the types give."""

import asyncio
import json
import re
from typing import Any

import pytest

from cliproxy_api.resources.parse import PLURALS, ParseFailure, parse
from cliproxy_api.rules import violations
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.crds import CEL_SINCE_MINOR
from cliproxy_dev.kube import ApiError, KubeApi
from support import corpus
from support.cluster import eventually, kubectl

INVALID = 422
GROUP = "/apis/cliproxy.io/v1alpha1"


async def verdict(api: KubeApi, namespace: str, case: corpus.Case) -> str:
    """Return the server's refusal, empty if it takes the object."""
    try:
        await api.create(f"{GROUP}/namespaces/{namespace}/{PLURALS[case.kind]}?dryRun=All", case.body)
    except ApiError as error:
        if error.status != INVALID:
            raise
        return error.message
    return ""


@pytest.mark.usefixtures("crds")
async def test_the_server_gives_the_corpus_the_same_verdict(
    control_plane: ControlPlane, namespace: str
) -> None:
    cases = corpus.load()
    knows = {"", "cel"} if control_plane.crd_minor >= CEL_SINCE_MINOR else {""}
    async with control_plane.api() as api:
        said = await asyncio.gather(*(verdict(api, namespace, case) for case in cases))
    wrong = [
        f"{case.id}: {refusal or 'taken'}"
        for case, refusal in zip(cases, said, strict=True)
        if bool(refusal) is not (not case.good and case.needs in knows)
    ]
    assert wrong == []


@pytest.mark.usefixtures("crds")
async def test_what_an_old_server_takes_our_own_rules_refuse(
    control_plane: ControlPlane, namespace: str
) -> None:
    if control_plane.crd_minor >= CEL_SINCE_MINOR:
        pytest.skip("this server knows CEL")
    async with control_plane.api() as api:
        for case in (case for case in corpus.load() if case.needs):
            path = f"{GROUP}/namespaces/{namespace}/{PLURALS[case.kind]}"
            stored = await api.create(path, case.body)
            resource = parse(case.kind, stored)
            found = resource.problems if isinstance(resource, ParseFailure) else violations(resource)
            assert case.path in [one.path for one in found], case.id
            await api.delete(f"{path}/{stored['metadata']['name']}")


@pytest.mark.usefixtures("crds")
async def test_the_server_fills_in_the_defaults_of_the_types(
    control_plane: ControlPlane, namespace: str
) -> None:
    async with control_plane.api() as api:
        for case in (case for case in corpus.load() if case.good):
            path = f"{GROUP}/namespaces/{namespace}/{PLURALS[case.kind]}"
            stored = await api.create(path, case.body)
            assert parse(case.kind, stored).spec == parse(case.kind, case.body).spec, case.id
            assert stored["status"] == {"observedGeneration": -1}


@pytest.mark.usefixtures("crds")
def test_kubectl_shows_them_all_as_the_dashboard(control_plane: ControlPlane, namespace: str) -> None:
    bodies = [case.body for case in corpus.load() if case.id.endswith("good/full")]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})
    applied = kubectl(control_plane, "-n", namespace, "apply", "-f", "-", stdin=listed)
    assert applied.returncode == 0, applied.stderr

    for short, columns in COLUMNS.items():
        shown = kubectl(control_plane, "-n", namespace, "get", short)
        assert re.split(r"\s{2,}", shown.stdout.splitlines()[0].strip()) == columns, shown
    everything = kubectl(control_plane, "-n", namespace, "get", "llm", "-o", "name").stdout.split()
    assert sorted(everything) == sorted(f"{kind.lower()}.cliproxy.io/full" for kind in PLURALS)


@pytest.mark.usefixtures("crds")
async def test_kubectl_explains_every_field(control_plane: ControlPlane) -> None:
    async def explained() -> bool:
        told = kubectl(control_plane, "explain", "llmproviders.spec.timeouts.firstByte")
        return "Longest wait from the sent request" in " ".join(told.stdout.split())

    await eventually(explained, within_s=30, what="the server publishes new schemas after a while")


COLUMNS: dict[str, Any] = {
    "llmp": ["NAME", "TYPE", "PHASE", "COOLDOWN UNTIL", "REASON", "REQ/MIN", "P95 MS", "SYNCED", "AGE"],
    "cdp": ["NAME", "ENABLED", "DEFAULT", "SCOPE", "LAST RESORT", "PROVIDERS", "COOLING", "TRIPS 24H", "AGE"],
    "llmalert": ["NAME", "SEVERITY", "STATE", "FIRING", "PENDING", "SUSPEND", "ACCEPTED", "AGE"],
    "pxp": ["NAME", "STRATEGY", "SIDECARS", "READY", "SYNCED", "ACCEPTED", "AGE"],
}
