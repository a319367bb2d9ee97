"""What checkov finds and we leave as it is: which check, where, and why; docs/install.md says the same. Pure.

A finding that is not here fails the audit, and so does an entry that finds nothing any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One check that failed, and the object it failed on: `Kind.namespace.name`, or a Dockerfile."""

    check: str
    where: str


@dataclass(frozen=True, slots=True)
class Excepted:
    """Checks that may fail where the pattern matches the whole name."""

    checks: tuple[str, ...]
    where: str
    why: str

    def covers(self, finding: Finding) -> bool:
        """Say whether this is about the finding."""
        return finding.check in self.checks and re.fullmatch(self.where, finding.where) is not None


_TEST_POD: Final = r"Pod\..*-test"
EXCEPTED: Final = (
    Excepted(("CKV_K8S_11",), ".*", "a CPU limit throttles a proxy for everybody who waits on it"),
    Excepted(("CKV_K8S_15", "CKV_K8S_43"), ".*", "pull policy and digest are the user's to choose"),
    Excepted(
        ("CKV_K8S_38",),
        r"(Deployment\..*-operator|CronJob\..*-backup)",
        "they talk to the API server",
    ),
    Excepted(("CKV_K8S_155",), r"ClusterRole\..*", "the caBundle of its own two configurations, by name"),
    Excepted(
        ("CKV_DOCKER_7",), r"Dockerfile\..*\.FROM", "the tag stands in BASE, which checkov does not follow"
    ),
    Excepted(("CKV_K8S_8", "CKV_K8S_9", "CKV2_K8S_6"), _TEST_POD, "it asks one question and ends"),
)


def judge(findings: Iterable[Finding]) -> tuple[list[Finding], list[str]]:
    """Return the findings that nobody argued for, and the checks argued for that find nothing."""
    found = set(findings)
    open_ones = sorted(one for one in found if not any(entry.covers(one) for entry in EXCEPTED))
    idle = [
        check
        for entry in EXCEPTED
        for check in entry.checks
        if not any(one.check == check and entry.covers(one) for one in found)
    ]
    return open_ones, idle
