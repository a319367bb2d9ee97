"""A finding that nobody argued for is told, and so is an argument that lost its finding."""

from __future__ import annotations

from pathlib import Path

from cliproxy_dev.audit.exceptions import EXCEPTED, Finding, judge

DOCS = Path(__file__).parents[4] / "docs" / "install.md"
EXAMPLES = {
    "CKV_K8S_38": "Deployment.cliproxy-system.cliproxy-operator",
    "CKV_DOCKER_7": "Dockerfile.operator.FROM",
    "CKV_K8S_155": "ClusterRole.default.cliproxy-operator",
}
TEST_POD = "Pod.cliproxy-system.cliproxy-operator-test"


def all_argued_for() -> list[Finding]:
    return [Finding(check, EXAMPLES.get(check, TEST_POD)) for entry in EXCEPTED for check in entry.checks]


def test_what_is_argued_for_passes() -> None:
    assert judge(all_argued_for()) == ([], [])


def test_the_same_check_elsewhere_is_not_argued_for() -> None:
    elsewhere = Finding("CKV_K8S_38", "Deployment.cliproxy-system.cliproxy-operator-gateway")
    assert judge([*all_argued_for(), elsewhere]) == ([elsewhere], [])


def test_an_argument_without_a_finding_is_told() -> None:
    assert judge([one for one in all_argued_for() if one.check != "CKV_K8S_11"]) == ([], ["CKV_K8S_11"])


def test_users_read_the_same_list() -> None:
    told = DOCS.read_text("utf-8")
    for entry in EXCEPTED:
        for check in entry.checks:
            assert check in told
