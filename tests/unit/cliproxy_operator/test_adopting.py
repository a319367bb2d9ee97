"""Restored state is taken over once, when it is fresh and readable; otherwise status says why not."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.restored import RestoredState, write_state
from cliproxy_api.vocabulary import RESTORE_ANNOTATION
from cliproxy_operator.adopting import Adoptions
from cliproxy_operator.alerts.restoring import adopt
from cliproxy_operator.concern import concern
from cliproxy_operator.inputs import Kind, ObjectKey
from cliproxy_operator.kinds import PROVIDER
from cliproxy_operator.store import Change
from support.alerting import BAD, Play
from support.objects import NAMESPACE, llm

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = ObjectKey(Kind.LLM_PROVIDER, NAMESPACE, "claude")
COOLING = {"scope": "Provider", "phase": "Cooling", "until": "2026-11-21T13:00:00Z"}


def annotated(*, uid: str = "u1", restored_from: str | None = None, **status: Any) -> LLMProvider:
    state = RestoredState(id="b1", taken_at="2026-11-21T10:00:00Z", status=status)
    meta = {"uid": uid, "annotations": {RESTORE_ANNOTATION: write_state(state)}}
    provider = llm(meta=meta)
    held = msgspec.structs.replace(provider.status, restored_from=restored_from)
    return msgspec.structs.replace(provider, status=held)


def test_state_is_taken_over_once_and_marked() -> None:
    adoptions, provider = Adoptions(), annotated(cooldowns=[COOLING])
    before = adoptions.wanted(KEY, provider, NOW)
    assert before is not None
    assert [entry.until for entry in before.status.cooldowns] == ["2026-11-21T13:00:00Z"]
    assert adoptions.marker(KEY, None) is None
    adoptions.took(KEY, before)
    assert adoptions.marker(KEY, None) == "b1"
    assert adoptions.wanted(KEY, provider, NOW) is None


def test_what_status_says_was_taken_is_not_taken_again_by_the_next_leader() -> None:
    adoptions = Adoptions()
    assert adoptions.wanted(KEY, annotated(restored_from="b1", cooldowns=[COOLING]), NOW) is None
    assert adoptions.wanted(KEY, annotated(restored_from="b0", cooldowns=[COOLING]), NOW) is not None
    assert adoptions.marker(KEY, "b1") == "b1"


def test_an_object_made_anew_takes_its_state_again() -> None:
    adoptions = Adoptions()
    first = adoptions.wanted(KEY, annotated(uid="u1"), NOW)
    assert first is not None
    adoptions.took(KEY, first)
    assert adoptions.wanted(KEY, annotated(uid="u2"), NOW) is not None


def test_what_has_expired_is_left_out_and_the_rest_marked() -> None:
    past = COOLING | {"until": "2026-11-21T11:00:00Z"}
    before = Adoptions().wanted(KEY, annotated(cooldowns=[past]), NOW)
    assert before is not None
    assert before.status.cooldowns == ()
    assert before.status.restored_from == "b1"


def test_an_unreadable_annotation_is_told_in_status_and_forgotten_when_mended() -> None:
    adoptions = Adoptions()
    broken = llm(meta={"annotations": {RESTORE_ANNOTATION: "no json"}})
    assert adoptions.wanted(KEY, broken, NOW) is None
    (told,) = adoptions.trouble(KEY)
    assert RESTORE_ANNOTATION in str(told)
    assert adoptions.wanted(KEY, annotated(), NOW) is not None
    assert adoptions.trouble(KEY) == ()
    wrong = annotated(cooldowns=[COOLING | {"level": "high"}])
    assert adoptions.wanted(KEY, wrong, NOW) is None
    assert adoptions.trouble(KEY)


def test_state_added_to_an_object_is_a_reason_to_compile() -> None:
    def raw(**annotations: str) -> dict[str, Any]:
        return {"metadata": {"name": "claude", "uid": "u", "generation": 1, "annotations": annotations}}

    added = Change(PROVIDER, NAMESPACE, "claude", raw(), raw(**{RESTORE_ANNOTATION: "{}"}))
    other = Change(PROVIDER, NAMESPACE, "claude", raw(), raw(note="hello"))
    assert concern(added, shares=False).compile
    assert not concern(other, shares=False).compile


def test_a_firing_alert_of_a_backup_is_not_told_again() -> None:
    told = Play().at(0, a=BAD)
    told.at(3, a=BAD).deliver()
    status = told.status()
    anew = Play(now=told.now)
    adopt(anew.alerts, status, anew.now)
    anew.at(6, a=BAD)
    assert anew.deliver() is None
    assert anew.alerts.entries["a"].told


def test_what_the_rule_knows_itself_stays() -> None:
    old = Play().at(0, a=BAD)
    old.at(3, a=BAD).deliver()
    anew = Play().at(100, a=BAD)
    anew.deliver()
    known = anew.alerts.entries["a"]
    adopt(anew.alerts, old.status(), anew.now)
    assert anew.alerts.entries["a"] is known
