"""A Deployment's pods: as many as asked for, new ones before old ones go, a status that ends a roll-out."""

from __future__ import annotations

import copy
from typing import Any

from cliproxy_dev.kube import Json
from cliproxy_dev.nodeagent.deployments import HASH_LABEL, Plan, new_pod, owner_of, plan, template_hash

NOW = "2026-11-21T12:00:00Z"
DEPLOYMENT: Json = {
    "metadata": {"name": "web", "namespace": "apps", "uid": "u-1", "generation": 3},
    "spec": {
        "replicas": 2,
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
    },
}


def pod(name: str, deployment: Json = DEPLOYMENT, *, ready: bool = True, ending: bool = False) -> Json:
    made = copy.deepcopy(new_pod(deployment))
    made["metadata"]["name"] = name
    if ending:
        made["metadata"]["deletionTimestamp"] = NOW
    made["status"] = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return made


def planned(*pods: Json, **spec: Any) -> Plan:
    changed = copy.deepcopy(DEPLOYMENT)
    changed["spec"].update(spec)
    return plan(changed, pods, now_utc=NOW)


def counts(found: Plan) -> tuple[int, int, int]:
    return found.status["replicas"], found.status["updatedReplicas"], found.status["availableReplicas"]


def test_a_pod_has_the_templates_labels_and_its_owner() -> None:
    made = new_pod(DEPLOYMENT)

    assert made["metadata"]["labels"] == {"app": "web", HASH_LABEL: template_hash(DEPLOYMENT)}
    assert made["metadata"]["generateName"].startswith("web-")
    assert owner_of(made) == "u-1"
    assert owner_of({"metadata": {}}) == ""


def test_missing_pods_are_made_and_surplus_ones_go() -> None:
    assert planned().create == 2
    assert planned(pod("a")).create == 1
    assert planned(pod("a", ending=True), pod("b")).create == 1
    assert planned(pod("a"), pod("b"), pod("c", ready=False)).delete == ("c",)
    assert planned(pod("a"), pod("b"), replicas=0).delete == ("a", "b")


def test_old_pods_go_when_the_new_ones_are_ready() -> None:
    before = copy.deepcopy(DEPLOYMENT)
    before["spec"]["template"]["spec"]["containers"] = [{"name": "old"}]
    old = [pod("old-a", before), pod("old-b", before)]

    begun = planned(*old)
    waiting = planned(*old, pod("a"), pod("b", ready=False))
    done = planned(*old, pod("a"), pod("b"))

    assert (begun.create, begun.delete) == (2, ())
    assert (waiting.create, waiting.delete) == (0, ())
    assert done.delete == ("old-a", "old-b")


def test_the_status_ends_a_roll_out_only_when_all_is_new() -> None:
    before = copy.deepcopy(DEPLOYMENT)
    before["spec"]["template"]["spec"]["containers"] = [{"name": "old"}]

    ending = planned(pod("a"), pod("b"), pod("old", before, ending=True))
    done = planned(pod("a"), pod("b"))

    assert ending.status["observedGeneration"] == 3
    assert counts(ending) == (3, 2, 2), "kubectl waits for what still ends"
    assert counts(done) == (2, 2, 2)
    assert {one["type"]: one["status"] for one in done.status["conditions"]} == {
        "Available": "True",
        "Progressing": "True",
    }
    assert planned(pod("a")).status["conditions"][0]["status"] == "False"


def test_a_status_that_says_so_already_is_left_alone() -> None:
    changed = copy.deepcopy(DEPLOYMENT)
    changed["status"] = planned(pod("a"), pod("b")).status

    assert plan(changed, [pod("a"), pod("b")], now_utc="2027-01-01T00:00:00Z").status == changed["status"]
