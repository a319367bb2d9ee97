"""The envelope of admission questions, and which pods are answered at all."""

import base64
import json
from typing import Any

import pytest

from cliproxy_operator.admission.bundles import bundle_patch
from cliproxy_operator.admission.pods import admit_pod
from cliproxy_operator.admission.review import Answer, Kind, Request, read_review, write_review
from cliproxy_operator.inject.template import Template

POD: dict[str, Any] = {"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "app"}]}}


def body(**request: Any) -> bytes:
    asked = {"uid": "u-1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE"}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked | request}
    return json.dumps(review).encode()


def test_a_question_is_read() -> None:
    asked = read_review(body(namespace="shop", object=POD, oldObject=None, dryRun=True, unknown={"x": 1}))

    assert (asked.uid, asked.kind.kind, asked.namespace, asked.operation) == ("u-1", "Pod", "shop", "CREATE")
    assert asked.object == POD
    assert asked.old_object is None
    assert asked.dry_run


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"request":{}}',
        body(uid=7),
        body(object="pod"),
        body().replace(b"/v1", b"/v1beta1"),
    ],
)
def test_what_is_no_question_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"AdmissionReview|admission"):
        read_review(data)


def response(answer: Answer) -> dict[str, Any]:
    written = json.loads(write_review("u-1", answer))
    assert (written["apiVersion"], written["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    return dict(written["response"])


def test_a_plain_yes_says_nothing_else() -> None:
    assert response(Answer()) == {"uid": "u-1", "allowed": True}


def test_a_refusal_says_why_as_the_api_server_would() -> None:
    said = response(Answer(allowed=False, message="spec.type: is required"))

    assert said["allowed"] is False
    assert said["status"] == {"code": 422, "reason": "Invalid", "message": "spec.type: is required"}


def test_patch_and_warnings_travel() -> None:
    patch = ({"op": "add", "path": "/x", "value": "ü"},)

    said = response(Answer(patch=patch, warnings=("a\nb" + "c" * 300, *"d" * 20)))

    assert said["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(said["patch"])) == list(patch)
    assert len(said["warnings"]) == 10
    assert said["warnings"][0].startswith("a bc")
    assert len(said["warnings"][0]) == 256


def asked(namespace: str = "shop", operation: str = "CREATE", kind: str = "Pod", pod: Any = POD) -> Request:
    return Request(uid="1", kind=Kind(kind=kind), operation=operation, namespace=namespace, object=pod)


@pytest.mark.parametrize(
    ("request_", "result"),
    [
        (asked(), "Inject"),
        (asked(namespace="kube-system"), "Leave"),
        (asked(namespace="cliproxy-system"), "Leave"),
        (asked(operation="UPDATE"), "Leave"),
        (asked(kind="Deployment"), "Leave"),
        (asked(pod=None), "Leave"),
        (asked(pod={"spec": {"hostNetwork": True}}), "HostNetwork"),
    ],
)
def test_pods_are_allowed_whatever_they_are(request_: Request, result: str) -> None:
    answer, said = admit_pod(request_, Template(image="sidecar"), own_namespace="cliproxy-system")

    assert answer.allowed
    assert said == result
    assert bool(answer.patch) is (result != "Leave")


def configuration(*bundles: str | None) -> dict[str, Any]:
    return {
        "webhooks": [
            {"name": f"w{number}", "clientConfig": {"url": "https://x"} | ({"caBundle": one} if one else {})}
            for number, one in enumerate(bundles)
        ]
    }


def test_bundles_are_written_where_they_lack_and_only_there() -> None:
    wanted = base64.b64encode(b"PEM").decode()

    assert bundle_patch(configuration(wanted, wanted), "PEM") == []
    assert bundle_patch({}, "PEM") == []
    assert bundle_patch(configuration(wanted, "old", None), "PEM") == [
        {"op": "test", "path": "/webhooks/1/name", "value": "w1"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": wanted},
        {"op": "test", "path": "/webhooks/2/name", "value": "w2"},
        {"op": "add", "path": "/webhooks/2/clientConfig/caBundle", "value": wanted},
    ]
