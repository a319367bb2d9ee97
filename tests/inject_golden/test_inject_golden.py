"""Every case folder: a pod and a template in `in.yaml` give the verdict, patch and warnings in `out.yaml`.

`make golden` (GOLDEN_REWRITE=1) rewrites the expectations; the review reads the difference.
"""

import copy
import os
from pathlib import Path
from typing import Any

import jsonpatch
import pytest
import yaml

from cliproxy_operator.inject import container as parts
from cliproxy_operator.inject.container import sidecar
from cliproxy_operator.inject.injection import Injection, inject
from cliproxy_operator.inject.options import read_options
from cliproxy_operator.inject.template import Template
from cliproxy_operator.inject.verdict import Standing

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/in.yaml"))
WHOLE = {"plain", "native", "profile-kept"}
"""Cases that show the whole sidecar."""
REWRITE = os.environ.get("GOLDEN_REWRITE") == "1"
each_case = pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)


def read(case: Path) -> tuple[dict[str, Any], Template]:
    told = yaml.safe_load((case / "in.yaml").read_text("utf-8"))
    return told["pod"], Template(**told["template"])


def patched(pod: Any, patch: Any) -> Any:
    """Judged by somebody else's reading of RFC 6902."""
    return jsonpatch.apply_patch(pod, copy.deepcopy(list(patch)))


def written(injection: Injection, template: Template, *, whole: bool) -> str:
    """As people review it: what is the same in every case is told once, and no digest changes them all."""
    usual = sidecar(template, read_options({}, template))
    volumes = [one["name"] for one in parts.volumes(read_options({}, template))]
    patch = copy.deepcopy(list(injection.patch))
    for operation in patch:
        value = operation.get("value")
        if not whole and value == usual:
            operation["value"] = "(the usual sidecar)"
        elif not whole and isinstance(value, list):
            operation["value"] = ["(the usual sidecar)" if one == usual else one for one in value]
            if [one.get("name") if isinstance(one, dict) else one for one in value] == volumes:
                operation["value"] = "(the usual volumes)"
    verdict = injection.verdict
    outcome = {
        "standing": verdict.standing.value,
        **({"reason": verdict.reason} if verdict.reason else {}),
        "warnings": list(injection.warnings),
        "patch": patch,
    }
    return yaml.safe_dump(outcome, sort_keys=False, width=110).replace(template.digest, "(digest)")


@each_case
def test_case_comes_out_as_written(case: Path) -> None:
    pod, template = read(case)
    whole = case.name in WHOLE
    outcome = written(inject(pod, template), template, whole=whole)
    if REWRITE:
        (case / "out.yaml").write_text(outcome, encoding="utf-8")
    assert outcome == (case / "out.yaml").read_text("utf-8")


@each_case
def test_the_pod_given_is_not_changed_and_a_second_look_changes_nothing(case: Path) -> None:
    pod, template = read(case)
    before = copy.deepcopy(pod)

    made = patched(pod, inject(pod, template).patch)
    assert pod == before
    assert inject(made, template).patch == ()


@each_case
def test_everything_of_the_users_stays(case: Path) -> None:
    pod, template = read(case)

    made = patched(pod, inject(pod, template).patch)

    for place in ("containers", "initContainers", "volumes"):
        kept = {entry["name"]: entry for entry in made["spec"].get(place) or []}
        for entry in pod["spec"].get(place) or []:
            env = (entry.get("env") or []) if place == "containers" else None
            now = kept[entry["name"]]
            if env is not None:
                assert (now.get("env") or [])[: len(env)] == env
            assert {key: value for key, value in now.items() if key != "env"} == {
                key: value for key, value in entry.items() if key != "env"
            }
    labels = pod["metadata"].get("labels") or {}
    assert labels.items() <= (made["metadata"].get("labels") or {}).items()


@each_case
def test_a_container_added_later_by_another_webhook_finds_the_sidecar(case: Path) -> None:
    pod, template = read(case)
    injection = inject(pod, template)
    if injection.verdict.standing is not Standing.INJECT:
        return
    made = patched(pod, injection.patch)
    made["spec"]["containers"].append({"name": "late", "image": "late"})

    again = inject(made, template)

    places = [operation["path"] for operation in again.patch]
    wanted = [] if "cliproxy.io/inject-env" in str(pod) and "never" in str(pod) else ["env"]
    assert [place.rsplit("/", 1)[1] for place in places] == wanted


def test_there_are_cases() -> None:
    assert len(CASES) >= 30
