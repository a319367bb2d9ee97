"""Our CRDs on the newest Kubernetes: what no library and no old server can vouch for.

`make test-newest` runs this, and with it other tests of this folder, on that server.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.resources.parse import PLURALS, ParseFailure, parse
from cliproxy_api.rules import violations
from cliproxy_dev import crds as sources
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.kube import ApiError, Json, KubeApi
from cliproxy_dev.newest.plane import CHOICE
from support import corpus
from support.cluster import CRD_PATH, eventually, kubectl

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not os.environ.get(CHOICE), reason="make test-newest builds that server and runs this"
    ),
]
GROUP = "/apis/cliproxy.io/v1alpha1"
CONFLICT, INVALID = 409, 422
NAMES = [crd["metadata"]["name"] for crd in sources.load_sources()]


def good(case: str) -> Json:
    """Return an object of the corpus, such as llmprovider/good/minimal."""
    [found] = [one for one in corpus.load() if one.id == case]
    return copy.deepcopy(found.body)


def path_of(namespace: str, body: Json) -> str:
    return f"{GROUP}/namespaces/{namespace}/{PLURALS[body['kind']]}/{body['metadata']['name']}"


def conditions(crd: Json) -> dict[str, str]:
    return {one["type"]: one["status"] for one in (crd.get("status") or {}).get("conditions") or []}


def lost(wanted: Any, stored: Any, path: str = "") -> Iterator[str]:
    """Yield the paths that were sent and are not stored as they were sent."""
    if isinstance(wanted, dict) and isinstance(stored, dict):
        for key, value in wanted.items():
            yield from lost(value, stored.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(stored, list) and len(wanted) == len(stored):
        for index, (one, other) in enumerate(zip(wanted, stored, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif wanted != stored:
        yield path


def renamed(crd: Json, plural: str) -> Json:
    """Return the CRD for a kind of its own, so that a test may change it."""
    changed = copy.deepcopy(crd)
    kind = plural.capitalize()
    changed["metadata"] = {"name": f"{plural}.cliproxy.io"}
    changed["spec"]["names"] = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": plural.removesuffix("s"),
    }
    return changed


def schemas(schema: Json) -> Iterator[Json]:
    yield schema
    for below in [
        *schema.get("properties", {}).values(),
        schema.get("items"),
        schema.get("additionalProperties"),
    ]:
        if isinstance(below, dict):
            yield from schemas(below)


async def established(api: KubeApi, name: str) -> Json:
    async def look() -> Json | None:
        crd = await api.get(f"{CRD_PATH}/{name}")
        return crd if conditions(crd).get("Established") == "True" else None

    crd = await eventually(look, within_s=30, what=f"{name} is established")
    assert crd is not None
    return crd


@pytest.mark.parametrize("minor", [20, 99])
async def test_every_field_of_every_crd_is_taken_and_kept(control_plane: ControlPlane, minor: int) -> None:
    async with control_plane.api() as api:
        for source in sources.for_server(minor=minor):
            plural = f"{source['spec']['names']['plural']}{minor}"
            # A name may hold no digit at its end in a kind's list, so it is spelled.
            crd = renamed(source, plural.replace(str(minor), "old" if minor == 20 else "new") + "s")
            path = f"{CRD_PATH}/{crd['metadata']['name']}"
            strict = {"fieldValidation": "Strict"}
            await api.request("POST", CRD_PATH, body=crd, params=strict)
            try:
                stored = await established(api, crd["metadata"]["name"])
                assert list(lost(crd["spec"], stored["spec"])) == []
                told = conditions(stored)
                assert told.get("NamesAccepted") == "True"
                assert "NonStructuralSchema" not in told, stored["status"]
            finally:
                await api.delete(path)


@pytest.mark.usefixtures("crds")
async def test_what_is_installed_has_rules_and_selectable_fields(control_plane: ControlPlane) -> None:
    async with control_plane.api() as api:
        for name in NAMES:
            version = (await api.get(f"{CRD_PATH}/{name}"))["spec"]["versions"][0]
            rules = [
                one
                for one in schemas(version["schema"]["openAPIV3Schema"])
                if "x-kubernetes-validations" in one
            ]
            assert rules, name
            assert version["selectableFields"], name


@pytest.mark.usefixtures("crds")
async def test_a_refusal_says_what_our_own_rules_say(control_plane: ControlPlane, namespace: str) -> None:
    """The server names the same field, in the same words, wherever a rule and not the schema refuses."""
    silent = []
    async with control_plane.api() as api:
        for case in (case for case in corpus.load() if case.needs == "cel"):
            resource = parse(case.kind, case.body)
            # Where our parser stops earlier, as at an unknown key of a map, its words are other ones.
            found = [] if isinstance(resource, ParseFailure) else violations(resource)
            with pytest.raises(ApiError) as refusal:
                await api.create(f"{GROUP}/namespaces/{namespace}/{PLURALS[case.kind]}?dryRun=All", case.body)
            assert refusal.value.status == INVALID
            told = refusal.value.message
            silent += [
                f"{case.id}: {one.message!r} is not in {told!r}" for one in found if one.message not in told
            ]
    assert silent == []


@pytest.mark.usefixtures("crds")
async def test_a_changed_object_is_judged_as_a_new_one_is(
    control_plane: ControlPlane, namespace: str
) -> None:
    """Every bad object of the corpus is refused as a change of a good one, and leaves that one alone."""
    async with control_plane.api() as api:
        for kind in PLURALS:
            base = next(case.body for case in corpus.load() if case.good and case.kind == kind)
            body = copy.deepcopy(base) | {"metadata": {"name": "changing"}}
            stored = await api.create(f"{GROUP}/namespaces/{namespace}/{PLURALS[kind]}", body)
            bad = [
                case
                for case in corpus.load()
                if not case.good and case.kind == kind and case.needs != "parser"
            ]
            for case in bad:
                change = {key: value for key, value in case.body.items() if key != "metadata"}
                change["metadata"] = {
                    "name": "changing",
                    "resourceVersion": stored["metadata"]["resourceVersion"],
                }
                if "status" in case.id:
                    continue  # a change of the object does not touch its status at all
                with pytest.raises(ApiError) as refusal:
                    await api.replace(path_of(namespace, body), change)
                assert refusal.value.status == INVALID, case.id
            assert (await api.get(path_of(namespace, body)))["spec"] == stored["spec"]


async def test_what_a_newer_rule_refuses_can_still_be_mended_bit_by_bit(
    control_plane: ControlPlane, namespace: str
) -> None:
    """An object from before the rules keeps working: labels, status and other fields can change."""
    [source] = [crd for crd in sources.load_sources() if crd["spec"]["names"]["kind"] == "LLMProvider"]
    before, after = (renamed(sources.fit(source, minor=minor), "ratchets") for minor in (20, 99))
    name = before["metadata"]["name"]
    body = good("llmprovider/good/minimal") | {"kind": "Ratchets", "metadata": {"name": "old"}}
    body["spec"]["credentials"][0]["weight"] = 0
    items = f"{GROUP}/namespaces/{namespace}/ratchets"
    async with control_plane.api() as api:
        await api.create(CRD_PATH, before)
        try:
            await established(api, name)
            await eventually(partial(taken, api, items, body), within_s=30, what="the kind is served")
            stored_crd = await api.get(f"{CRD_PATH}/{name}")
            after["metadata"]["resourceVersion"] = stored_crd["metadata"]["resourceVersion"]
            await api.replace(f"{CRD_PATH}/{name}", after)
            fresh = copy.deepcopy(body) | {"metadata": {"name": "fresh"}}
            await eventually(
                partial(refused, api, items, fresh), within_s=30, what="the new rules are in force"
            )

            labelled = await api.merge_patch(f"{items}/old", {"metadata": {"labels": {"team": "search"}}})
            assert labelled["metadata"]["labels"] == {"team": "search"}
            weighed = await api.merge_patch(f"{items}/old", {"spec": {"weight": 7}})
            assert weighed["spec"]["weight"] == 7
            status = await api.merge_patch(f"{items}/old/status", {"status": {"phase": "Healthy"}})
            assert status["status"]["phase"] == "Healthy"
            two = [*body["spec"]["credentials"], {**body["spec"]["credentials"][0], "name": "second"}]
            with pytest.raises(ApiError, match="at least one key needs a weight above 0"):
                await api.merge_patch(f"{items}/old", {"spec": {"credentials": two}})
        finally:
            await api.delete(f"{CRD_PATH}/{name}")


async def taken(api: KubeApi, items: str, body: Json) -> bool:
    try:
        await api.create(items, body)
    except ApiError as error:
        if error.status == INVALID:
            raise
        return False
    return True


async def refused(api: KubeApi, items: str, body: Json) -> bool:
    try:
        await api.create(f"{items}?dryRun=All", body)
    except ApiError as error:
        return error.status == INVALID
    return False


@pytest.mark.usefixtures("crds")
def test_kubectl_selects_by_fields(control_plane: ControlPlane, namespace: str) -> None:
    everything = [
        case.body
        for case in corpus.load()
        # Server-side apply takes no field that the schema lacks.
        if case.good and case.kind == "LLMProvider" and not case.id.endswith("unknown-fields")
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": everything})
    applied = kubectl(control_plane, "-n", namespace, "apply", "--server-side", "-f", "-", stdin=listed)
    assert applied.returncode == 0, applied.stderr

    def names(kind: str, selector: str) -> list[str]:
        found = kubectl(
            control_plane, "-n", namespace, "get", kind, "--field-selector", selector, "-o", "name"
        )
        assert found.returncode == 0, found.stderr
        return sorted(line.partition("/")[2] for line in found.stdout.split())

    azure = sorted(one["metadata"]["name"] for one in everything if one["spec"]["type"] == "azure_openai")
    assert azure
    assert names("llmp", "spec.type=azure_openai") == azure
    others = sorted(one["metadata"]["name"] for one in everything if one["metadata"]["name"] not in azure)
    assert names("llmp", "spec.type!=azure_openai") == others
    assert names("llmp", "spec.cooldownPolicyRef.name=strict.policy") == ["full"]
    assert names("llmp", "status.phase=Healthy") == []
    healthy = kubectl(
        control_plane, "-n", namespace, "patch", "llmp", "full", "--subresource=status", "--type=merge",
        "-p", '{"status": {"phase": "Healthy"}}',
    )  # fmt: skip
    assert healthy.returncode == 0, healthy.stderr
    assert names("llmp", "status.phase=Healthy,spec.type=openai") == ["full"]
    for kind, selector in (
        ("cdp", "spec.default=false,spec.scope=provider"),
        ("llmalert", "spec.severity=critical,status.state=Firing"),
        ("pxp", "spec.loadBalancing.strategy=weighted"),
    ):
        assert names(kind, selector) == []
    unknown = kubectl(control_plane, "-n", namespace, "get", "llmp", "--field-selector", "spec.weight=1")
    assert unknown.returncode != 0


@pytest.mark.usefixtures("crds")
async def test_the_columns_hold_what_status_says(control_plane: ControlPlane, namespace: str) -> None:
    status = {
        "phase": "CoolingDown",
        "reason": "RateLimited",
        "cooldownUntil": "2026-11-21T20:00:00Z",
        "traffic": {"requestsLastMinute": 41, "p95LatencyMs": 730},
        "sidecars": {"summary": "2/3"},
        "quota": {"remaining": "12.50"},
        "cost": {"today": "1.25", "thisMonth": "30"},
    }
    async with control_plane.api() as api:
        body = good("llmprovider/good/minimal")
        await api.create(f"{GROUP}/namespaces/{namespace}/llmproviders", body)
        await api.merge_patch(f"{path_of(namespace, body)}/status", {"status": status})
    shown = kubectl(control_plane, "-n", namespace, "get", "llmp", "-o", "wide")
    head, row = (re.split(r"\s{2,}", line.strip()) for line in shown.stdout.splitlines())
    cells = dict(zip(head, row, strict=True))
    assert cells.pop("AGE").endswith("s")
    assert cells == {
        "NAME": "minimal",
        "TYPE": "openai",
        "PHASE": "CoolingDown",
        "COOLDOWN UNTIL": "2026-11-21T20:00:00Z",
        "REASON": "RateLimited",
        "REQ/MIN": "41",
        "P95 MS": "730",
        "SYNCED": "2/3",
        "PRIORITY": "1",
        "QUOTA LEFT": "12.50",
        "COST TODAY": "1.25",
        "COST MONTH": "30",
    }


@pytest.mark.usefixtures("crds")
async def test_two_managers_own_entries_of_the_same_lists(
    control_plane: ControlPlane, namespace: str
) -> None:
    """One team owns one key and one model, another the rest; neither spells out defaults."""
    body = good("llmprovider/good/minimal")
    path = path_of(namespace, body)
    second = copy.deepcopy(body)
    second["spec"] = {
        "type": "openai",
        "credentials": [{"name": "second", "secretRef": {"name": "openai", "key": "other"}}],
        "models": [{"name": "gpt-4o-mini", "pricing": {"input": "0.15", "output": "0.60"}}],
    }
    async with control_plane.api() as api:
        await api.apply(path, body, manager="first", force=False)
        both = await api.apply(path, second, manager="second", force=False)
        assert [key["name"] for key in both["spec"]["credentials"]] == ["main", "second"]
        assert [model["name"] for model in both["spec"]["models"]] == ["gpt-4o", "gpt-4o-mini"]
        again = await api.apply(path, body, manager="first", force=False)
        assert again["metadata"]["resourceVersion"] == both["metadata"]["resourceVersion"]

        taken_over = copy.deepcopy(second)
        taken_over["spec"]["credentials"][0] |= {"name": "main", "weight": 5}
        with pytest.raises(ApiError) as conflict:
            await api.apply(path, taken_over, manager="second", force=False)
        assert conflict.value.status == CONFLICT
        assert "first" in conflict.value.message

        left = copy.deepcopy(second)
        left["spec"]["credentials"] = []
        one = await api.apply(path, left, manager="second", force=False)
        assert [key["name"] for key in one["spec"]["credentials"]] == ["main"]


@pytest.mark.usefixtures("crds")
async def test_status_and_spec_are_written_apart(control_plane: ControlPlane, namespace: str) -> None:
    async with control_plane.api() as api:
        for kind in PLURALS:
            body = next(copy.deepcopy(case.body) for case in corpus.load() if case.good and case.kind == kind)
            await api.create(f"{GROUP}/namespaces/{namespace}/{PLURALS[kind]}", body)
            path = path_of(namespace, body)
            condition = {
                "type": "Ready",
                "status": "True",
                "reason": "Tested",
                "message": "",
                "lastTransitionTime": "2026-11-21T20:00:00Z",
            }
            wanted = {"observedGeneration": 1, "conditions": [condition]}
            spoilt = {"status": wanted, "spec": {"type": "anthropic", "severity": "info"}}
            told = await api.merge_patch(f"{path}/status", spoilt)
            stored = await api.get(path)
            assert stored["status"]["conditions"][0]["reason"] == "Tested"
            assert stored["metadata"]["generation"] == told["metadata"]["generation"] == 1
            assert list(lost(body.get("spec", {}), stored.get("spec", {}))) == []
            await api.merge_patch(
                path, {"status": {"observedGeneration": 99}, "metadata": {"labels": {"a": "b"}}}
            )
            assert (await api.get(path))["status"]["observedGeneration"] == 1


@pytest.mark.usefixtures("crds")
async def test_unknown_fields_are_told_to_kubectl(control_plane: ControlPlane, namespace: str) -> None:
    body = good("llmprovider/good/minimal")
    body["spec"]["timeout"] = "5s"
    applied = await asyncio.to_thread(
        kubectl, control_plane, "-n", namespace, "apply", "--server-side", "-f", "-", stdin=json.dumps(body)
    )
    assert applied.returncode != 0
    assert 'unknown field "spec.timeout"' in applied.stderr or "spec.timeout" in applied.stderr


def test_the_main_job_plays_on_it(control_plane: ControlPlane, tmp_path: Path) -> None:
    """`make run`, every step of it: operator, sidecars, cooldowns, a wrong object."""
    demo = [sys.executable, "-m", "cliproxy_dev.demo", "--once", "--run-dir", str(tmp_path)]
    played = subprocess.run(  # noqa: S603 -- our own program
        demo, capture_output=True, text=True, check=False, timeout=240
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert f"kube-apiserver {control_plane.version} serves" in played.stdout
    assert "every step was seen to happen" in played.stdout
