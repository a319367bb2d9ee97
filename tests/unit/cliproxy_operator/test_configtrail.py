"""Changes of our objects reach the audit log once, with the managers' names, and without values."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from cliproxy_operator.admission.asked import asked_change
from cliproxy_operator.admission.review import Kind, Request
from cliproxy_operator.audit import LOGGER, Audit
from cliproxy_operator.changers import manager_of_annotation
from cliproxy_operator.configtrail import ConfigurationTrail
from cliproxy_operator.kinds import POD, PROVIDER
from cliproxy_operator.store import Change, trimmed
from support.manualclock import ManualClock

BEGAN = datetime(2026, 11, 21, 12, tzinfo=UTC)
COOLDOWN = "cliproxy.io/cooldown"


def raw(
    spec: dict[str, Any], *managers: tuple[str, str], made: str = "2026-11-21T13:00:00Z", **more: Any
) -> Any:
    fields = [
        {"manager": name, "operation": "Apply", "time": time, "fieldsV1": {"f:spec": {}}}
        for name, time in managers
    ]
    fields.append(
        {
            "manager": "cliproxy-operator",
            "subresource": "status",
            "time": "2026-11-21T14:00:00Z",
        }  # no changer
    )
    metadata = {
        "name": "a",
        "namespace": "t",
        "generation": 2,
        "creationTimestamp": made,
        "managedFields": fields,
    }
    return trimmed(PROVIDER, {"metadata": metadata | more, "spec": spec})


class Trail:
    def __init__(self, *, leads: bool = True) -> None:
        self.trail = ConfigurationTrail(Audit(ManualClock()), began_utc=BEGAN, leads=lambda: leads)

    def lines(self, caplog: pytest.LogCaptureFixture, *changes: Change) -> list[dict[str, Any]]:
        with caplog.at_level(logging.INFO, LOGGER):
            for change in changes:
                self.trail.changed(change)
        return [vars(record) for record in caplog.records if record.name == LOGGER]


def change(old: Any, new: Any) -> Change:
    return Change(PROVIDER, "t", "a", old, new)


def test_an_update_names_fields_and_who_wrote_last(caplog: pytest.LogCaptureFixture) -> None:
    old = raw({"priority": 1, "secret": "planted"}, ("argocd", "2026-11-21T11:00:00Z"))
    new = raw(
        {"priority": 2, "secret": "other-planted"},
        ("argocd", "2026-11-21T11:00:00Z"),
        ("kubectl-edit", "2026-11-21T13:30:00Z"),
    )

    (line,) = Trail().lines(caplog, change(old, new))

    assert (line["event"], line["reason"], line["who"]) == ("configuration_change", "update", "kubectl-edit")
    assert (line["object"], line["fields"], line["generation"]) == (
        "LLMProvider/t/a",
        ["spec.priority", "spec.secret"],
        2,
    )
    assert "planted" not in str(line)


def test_status_and_metadata_alone_are_no_change_and_standbys_say_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    same = raw({"priority": 1}, ("argocd", "2026-11-21T11:00:00Z"))
    labelled = raw({"priority": 1}, ("argocd", "2026-11-21T13:00:00Z"), labels={"x": "y"})

    assert Trail().lines(caplog, change(same, labelled)) == []
    assert Trail(leads=False).lines(caplog, change(same, raw({"priority": 2}))) == []
    assert Trail().lines(caplog, Change(POD, "t", "a", None, same)) == []


def test_only_what_came_and_went_since_the_start_is_told(caplog: pytest.LogCaptureFixture) -> None:
    there_before = raw({}, ("helm", "2026-11-20T13:00:00Z"), made="2026-11-20T13:00:00Z")
    fresh = raw({}, ("helm", "2026-11-21T13:00:00Z"))

    lines = Trail().lines(caplog, change(None, there_before), change(None, fresh), change(fresh, None))

    assert [(line["reason"], line["who"]) for line in lines] == [("create", "helm"), ("delete", "")]


def test_who_set_an_annotation_is_known() -> None:
    owner = {
        "manager": "kubectl-annotate",
        "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{COOLDOWN}": {}}}},
    }
    kept = trimmed(PROVIDER, {"metadata": {"name": "a", "managedFields": [owner, "odd"]}})

    assert manager_of_annotation(kept, COOLDOWN) == "kubectl-annotate"
    assert manager_of_annotation(kept, "cliproxy.io/recover") == ""
    assert manager_of_annotation({"metadata": {}}, COOLDOWN) == ""


def request(operation: str, new: Any, old: Any = None, **more: Any) -> Request:
    return Request(uid="u", kind=Kind("LLMProvider"), operation=operation, object=new, old_object=old, **more)


def test_what_somebody_asks_for_is_told_by_its_fields() -> None:
    plain, changed = {"spec": {"priority": 1}}, {"spec": {"priority": 2}}
    cooled = {"spec": {"priority": 1}, "metadata": {"annotations": {COOLDOWN: "10m"}}}

    assert asked_change(request("CREATE", plain)) == ("create", ())
    assert asked_change(request("UPDATE", changed, plain)) == ("update", ("spec.priority",))
    assert asked_change(request("UPDATE", cooled, plain)) == ("update", (COOLDOWN,))
    assert asked_change(request("UPDATE", plain, cooled)) is None
    assert asked_change(request("UPDATE", plain, plain)) is None
    assert asked_change(request("UPDATE", changed, plain, dry_run=True)) is None


def test_two_writes_in_one_second_are_told_of_the_newest_manager(caplog: pytest.LogCaptureFixture) -> None:
    managers = (("argocd", "2026-11-20T13:00:00Z"), ("kubectl-edit", "2026-11-21T13:30:00Z"))

    (line,) = Trail().lines(caplog, change(raw({"priority": 1}, *managers), raw({"priority": 2}, *managers)))

    assert line["who"] == "kubectl-edit"
