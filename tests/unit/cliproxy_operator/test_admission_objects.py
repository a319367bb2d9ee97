"""Objects of ours at admission: what is new and wrong is refused, nothing else is ever in the way."""

from typing import Any

import pytest

from cliproxy_operator.admission.doubts import Surroundings, doubts
from cliproxy_operator.admission.objects import admit_object
from cliproxy_operator.admission.review import Answer, Kind, Request
from cliproxy_operator.inputs import AddressRules
from support.corpus import Case, load

GOOD: dict[str, Any] = {
    "type": "anthropic",
    "credentials": [{"name": "main", "secretRef": {"name": "keys", "key": "key"}}],
    "models": [{"name": "claude"}],
}
BAD = GOOD | {"baseURL": "http://169.254.169.254/"}
WORSE = BAD | {"headers": {"X-Auth-Token": "key"}}


def provider(spec: Any, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "claude", "namespace": "shop", **metadata}, "spec": spec}


def asked(
    new: dict[str, Any] | None,
    old: dict[str, Any] | None = None,
    *,
    kind: str = "LLMProvider",
    operation: str = "",
) -> Request:
    return Request(
        uid="1",
        kind=Kind(kind=kind, group="cliproxy.io"),
        operation=operation or ("UPDATE" if old is not None else "CREATE"),
        name="",
        namespace="shop",
        object=new,
        old_object=old,
    )


def answer(request: Request) -> Answer:
    return admit_object(request, AddressRules())[0]


def test_a_fault_is_told_by_path_and_cure() -> None:
    said = answer(asked(provider(BAD)))

    assert not said.allowed
    assert said.message.startswith("spec.baseURL: points at a link-local")
    assert "use the provider's public address" in said.message


def test_all_faults_are_told_up_to_five() -> None:
    words = ("type", "priority", "weight", "enabled", "baseURL", "models", "costPer1kTokens")
    spec = GOOD | dict.fromkeys(words, -1)

    said = answer(asked(provider(spec)))

    assert said.message.count("; ") == 5
    assert said.message.endswith("; and 2 more")


def test_a_name_that_is_yet_to_be_made_is_no_fault() -> None:
    assert answer(asked({"metadata": {"generateName": "claude-"}, "spec": GOOD})).allowed


@pytest.mark.parametrize(
    "request_",
    [
        asked(provider(BAD, finalizers=[]), provider(BAD, finalizers=["x"])),
        asked(provider(BAD, labels={"a": "b"}), provider(BAD)),
        asked(provider(WORSE, deletionTimestamp="2026-11-21T12:00:00Z"), provider(BAD)),
        asked(None, provider(BAD), operation="DELETE"),
        asked(provider(BAD), operation="CONNECT"),
        asked(provider(BAD), kind="Pod"),
        asked(None),
        asked(provider(BAD | {"priority": 3}), provider(BAD)),
        asked(provider(BAD), provider(WORSE)),
        asked(provider(GOOD), provider(WORSE)),
    ],
    ids=[
        "finalizer",
        "label",
        "on-its-way-out",
        "deletion",
        "other-operation",
        "other-kind",
        "no-object",
        "other-field",
        "mended-in-part",
        "mended",
    ],
)
def test_what_is_never_in_the_way(request_: Request) -> None:
    assert answer(request_).allowed


def test_a_fault_from_before_is_told_as_a_warning() -> None:
    said = answer(asked(provider(BAD | {"priority": 3}), provider(BAD)))

    assert [warning.partition(":")[0] for warning in said.warnings] == ["spec.baseURL"]
    assert "as it was before" in said.warnings[0]


@pytest.mark.parametrize("old", [GOOD, BAD], ids=["good", "bad"])
def test_a_new_fault_is_refused_and_only_that_is_told(old: dict[str, Any]) -> None:
    said = answer(asked(provider(old | {"headers": {"X-Auth-Token": "key"}}), provider(old)))

    assert not said.allowed
    assert said.message.startswith("spec.headers[x-auth-token]")
    assert "baseURL" not in said.message


@pytest.mark.parametrize("case", load(), ids=lambda case: case.id)
def test_the_corpus_is_judged_as_everywhere(case: Case) -> None:
    said = answer(asked(case.body, kind=case.kind))

    assert said.allowed is case.good
    assert case.path in said.message


def told(spec: dict[str, Any], around: Surroundings, kind: str = "LLMProvider") -> tuple[str, ...]:
    said, entry = admit_object(asked(provider(spec), kind=kind), AddressRules())
    assert said.allowed
    assert entry is not None
    return doubts(entry, around)


@pytest.mark.parametrize(
    ("url", "doubtful"),
    [
        ("https://llm.example.com/v1", False),
        ("http://llm.example.com/v1", True),
        ("http://8.8.8.8/v1", True),
        ("http://10.0.0.7:8000/v1", False),
        ("http://[fd00::1]:8000/v1", False),
        ("http://vllm:8000/v1", False),
        ("http://vllm.models.svc:8000/v1", False),
        ("http://vllm.models.svc.cluster.local.:8000/v1", False),
        ("http://svc.evil.com/v1", True),
    ],
)
def test_keys_in_clear_text_are_doubted(url: str, *, doubtful: bool) -> None:
    found = told(GOOD | {"type": "openai_compatible", "baseURL": url}, Surroundings())

    assert bool(found) is doubtful


def test_what_is_not_there_yet_is_doubted() -> None:
    spec = GOOD | {"cooldownPolicyRef": {"name": "patient"}}

    assert [text.partition(":")[0] for text in told(spec, Surroundings())] == ["spec.cooldownPolicyRef.name"]
    assert told(spec, Surroundings(policies=frozenset({"patient"}))) == ()


def test_a_second_default_policy_is_doubted_but_not_itself() -> None:
    assert told({"default": True}, Surroundings(default_policies=frozenset({"first"})), "CooldownPolicy")
    assert not told({"default": True}, Surroundings(default_policies=frozenset({"claude"})), "CooldownPolicy")


def test_faults_on_purpose_are_doubted() -> None:
    spec = {"faultInjection": {"until": "2026-11-30T12:00:00Z", "abort": {"status": 503, "percent": 10}}}

    assert "2026-11-30T12:00:00Z" in told(spec, Surroundings(), "ProxyProfile")[0]
