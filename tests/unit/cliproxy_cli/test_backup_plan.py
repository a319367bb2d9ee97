"""What restoring an entry comes to, beside what the cluster holds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from cliproxy_api.kinds import ALERT_RULE, PROVIDER
from cliproxy_api.restored import read_state
from cliproxy_api.vocabulary import RESTORE_ANNOTATION
from cliproxy_cli.backup.content import Content, Entry, SecretEntry, entry_of, named_secrets, secret_of
from cliproxy_cli.backup.judge import judge, missing_secrets
from cliproxy_cli.backup.plan import Did, State, Step, plan_object, plan_secret

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
COOLING = {"scope": "Provider", "phase": "Cooling", "until": "2026-11-21T13:00:00Z"}
SPEC = {
    "type": "anthropic",
    "credentials": [{"name": "main", "secretRef": {"name": "keys", "key": "key"}}],
    "models": [{"name": "sonnet"}],
}
BACKUP = Content(id="b1", taken_at="2026-11-21T11:00:00Z", scope="ALL")


def raw(*, uid: str = "old", generation: int = 1, spec: Any = None, **more: Any) -> dict[str, Any]:
    metadata = {
        "name": "claude",
        "namespace": "team-a",
        "uid": uid,
        "generation": generation,
        "resourceVersion": "77",
        "managedFields": [{}],
        "ownerReferences": [{"uid": "gone"}],
        "finalizers": ["elsewhere/guard"],
        **more.pop("metadata", {}),
    }
    return {"apiVersion": "cliproxy.io/v1alpha1", "metadata": metadata, "spec": spec or SPEC, **more}


def entry(**more: Any) -> Entry:
    return entry_of(PROVIDER, raw(status={"cooldowns": [COOLING], "phase": "CoolingDown"}, **more))


def plan(one: Entry, live: dict[str, Any] | None, *, force: bool = False, with_state: bool = True) -> Step:
    return plan_object(one, live, BACKUP, NOW, force=force, with_state=with_state)


def test_an_absent_object_is_made_with_its_state_and_without_its_former_life() -> None:
    asked = {
        "metadata": {"annotations": {"cliproxy.io/recover": "now", "team": "a"}, "labels": {"tier": "gold"}}
    }
    step = plan(entry(**asked), None)
    assert (step.did, step.state) == (Did.CREATED, State.RESTORED)
    assert step.create is not None
    metadata = step.create["metadata"]
    assert metadata.keys() == {"name", "namespace", "labels", "annotations"}
    assert metadata["labels"] == {"tier": "gold"}
    state = read_state(metadata["annotations"])
    assert state is not None
    assert (state.id, state.status) == ("b1", {"cooldowns": [COOLING]})
    assert metadata["annotations"].keys() == {"team", RESTORE_ANNOTATION}
    assert "status" not in step.create


def test_the_object_that_was_backed_up_keeps_its_own_state() -> None:
    step = plan(entry(), raw())
    assert (step.did, step.state, step.annotate) == (Did.UNCHANGED, State.NEWER, None)
    assert plan(entry(), raw(), force=True).annotate is not None


def test_an_object_changed_since_stays_unless_forced() -> None:
    live = raw(generation=3, spec=SPEC | {"priority": 5})
    step = plan(entry(), live)
    assert (step.did, step.state) == (Did.KEPT, State.NEWER)
    assert "generation 1 then, 3 now" in step.notes[0]
    forced = plan(entry(), live, force=True)
    assert forced.did is Did.REPLACED
    assert forced.replace is not None
    assert forced.replace["metadata"]["resourceVersion"] == "77"
    assert forced.replace["spec"] == SPEC


def test_an_object_that_git_made_anew_gets_its_state() -> None:
    step = plan(entry(), raw(uid="new"))
    assert (step.did, step.state) == (Did.UNCHANGED, State.RESTORED)
    assert step.annotate is not None
    other = plan(entry(), raw(uid="new", spec=SPEC | {"priority": 5}))
    assert (other.did, other.state) == (Did.KEPT, State.RESTORED)
    assert "made anew" in other.notes[0]


@pytest.mark.parametrize("force", [False, True])
def test_the_second_time_changes_nothing(force: bool) -> None:  # noqa: FBT001 -- a test's case
    waiting = plan(entry(), None).create
    assert waiting is not None
    live = raw(uid="new", metadata={"annotations": waiting["metadata"]["annotations"]})
    step = plan(entry(), live, force=force)
    assert (step.did, step.state, step.annotate) == (Did.UNCHANGED, State.KNOWN, None)
    taken = raw(uid="new", status={"restoredFrom": "b1"})
    step = plan(entry(), taken, force=force)
    assert (step.did, step.state, step.annotate) == (Did.UNCHANGED, State.KNOWN, None)


def test_what_has_expired_is_said_and_not_written() -> None:
    one = entry_of(PROVIDER, raw(status={"cooldowns": [COOLING | {"until": "2026-11-21T11:59:59Z"}]}))
    step = plan(one, None)
    assert step.state is State.EXPIRED
    assert step.create is not None
    assert "annotations" not in step.create["metadata"]
    assert "ended at 2026-11-21T11:59:59Z" in step.notes[0]


def test_state_can_be_left_out() -> None:
    step = plan(entry(), None, with_state=False)
    assert step.state is State.LEFT
    assert step.create is not None
    assert "annotations" not in step.create["metadata"]


def test_state_too_large_for_an_annotation_is_left_out_and_said() -> None:
    message = "x" * 500
    alerts = [
        {"provider": f"p{number}", "state": "Firing", "lastNotification": {"message": message}}
        for number in range(500)
    ]
    one = entry_of(ALERT_RULE, raw(status={"providers": alerts}))
    step = plan(one, None)
    assert (step.did, step.state) == (Did.CREATED, State.LEFT)
    assert "at most" in step.notes[0]


def test_a_secret_that_was_rotated_since_stays() -> None:
    one = secret_of({"metadata": {"name": "keys", "namespace": "team-a"}, "data": {"key": "b2xk"}})
    live = {"metadata": {"resourceVersion": "9"}, "data": {"key": "bmV3"}}
    assert plan_secret(one, None, force=False).create is not None
    assert plan_secret(one, {"data": {"key": "b2xk"}}, force=False).did is Did.UNCHANGED
    kept = plan_secret(one, live, force=False)
    assert (kept.did, kept.replace) == (Did.KEPT, None)
    assert "bmV3" not in str(kept.notes)
    forced = plan_secret(one, live, force=True).replace
    assert forced is not None
    assert forced["metadata"]["resourceVersion"] == "9"


def test_every_secret_that_an_object_names_is_found() -> None:
    spec = {
        "credentials": [{"secretRef": {"name": "a", "key": "k"}}, {"secretRef": {"name": "b", "key": "k"}}],
        "consumers": [{"keySecretRef": {"name": "c", "key": "k"}}],
        "cache": {"redis": {"passwordSecretRef": {"name": "a", "key": "k"}}},
        "notifications": [{"slack": {"webhookSecretRef": {"name": "d", "key": "k"}}}],
    }
    one = entry(spec=spec)
    assert named_secrets([one]) == [("team-a", name) for name in "abcd"]
    content = Content(id="b", taken_at="x", scope="ALL", secrets=(SecretEntry(namespace="team-a", name="a"),))
    assert missing_secrets(content, [one]) == ["team-a/b", "team-a/c", "team-a/d"]


def test_an_entry_is_judged_by_the_schema() -> None:
    assert judge(entry(), NOW).problems == ()
    assert judge(entry(), NOW).state == ("cooldowns",)
    assert "spec.models" in judge(entry(spec=SPEC | {"models": []}), NOW).problems[0]
    strange = Entry(kind="Deployment", namespace="a", name="b")
    assert "none of ours" in judge(strange, NOW).problems[0]
