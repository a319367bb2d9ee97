"""Objects as the API server gives them become typed resources, or advice."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.durations import DURATION_HELP
from cliproxy_api.resources.common import LabelSelector, to_wire, wire_name
from cliproxy_api.resources.cooldownpolicy import CooldownPolicy
from cliproxy_api.resources.llmprovider import LLMProvider
from cliproxy_api.resources.llmprovider_status import CooldownStatus, LLMProviderStatus
from cliproxy_api.resources.parse import MAX_DEPTH, TYPES, ParseFailure, parse, parse_again, parse_as
from cliproxy_api.rules import violations
from cliproxy_api.vocabulary import OutcomeClass, ProviderPhase, ScopeKind

SPEC = {"type": "openai_compatible", "baseURL": "http://a.example/v1", "models": [{"name": "m"}]}


class View(Mapping[str, Any]):
    """A mapping that is no dict, as kopf hands out."""

    def __init__(self, of: dict[str, Any]) -> None:
        self._of = of

    def __getitem__(self, key: str) -> Any:
        value = self._of[key]
        return View(value) if isinstance(value, dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def __len__(self) -> int:
        return len(self._of)


def provider(spec: Any, **metadata: Any) -> LLMProvider | ParseFailure:
    return parse_as(LLMProvider, {"metadata": {"name": "x"} | metadata, "spec": spec})


def advice(spec: Any) -> list[tuple[str, str]]:
    failure = provider(spec)
    assert isinstance(failure, ParseFailure)
    return [(one.path, one.message) for one in failure.problems]


def test_reads_metadata_spec_and_defaults() -> None:
    found = provider(SPEC, namespace="team", uid="u1", generation=7, labels={"a": "b"}, resourceVersion="12")
    assert isinstance(found, LLMProvider)
    assert (found.metadata.namespace, found.metadata.generation, found.metadata.resource_version) == (
        "team",
        7,
        "12",
    )
    assert found.metadata.labels == {"a": "b"}
    assert (found.spec.base_url, found.spec.models[0].name) == ("http://a.example/v1", "m")
    assert (found.spec.enabled, found.spec.timeouts.first_byte, found.spec.retries.attempts) == (
        True,
        "60s",
        2,
    )
    assert found.status.observed_generation == -1


def test_reads_a_mapping_that_is_no_dict() -> None:
    body = View({"metadata": {"name": "x", "deletionTimestamp": None}, "spec": SPEC})
    assert parse("LLMProvider", body) == provider(SPEC)


def test_a_null_is_as_good_as_nothing() -> None:
    assert provider(SPEC | {"quota": None, "timeouts": {"connect": None}}) == provider(SPEC)
    assert parse("CooldownPolicy", {"metadata": {"name": "x"}, "spec": None}) == parse(
        "CooldownPolicy", {"metadata": {"name": "x"}}
    )


def test_all_mistakes_are_told_at_once_with_paths_and_advice() -> None:
    assert advice(
        {
            "type": "bedrock",
            "models": [{"name": "a b"}, {}],
            "priority": 0,
            "enabled": "yes",
            "timeouts": {"connect": 5, "total": "1d"},
            "headers": {"X-Team": 3},
        }
    ) == [
        (
            "spec.type",
            "must be one of openai, anthropic, azure_openai, gemini, openai_compatible, not 'bedrock'",
        ),
        (
            "spec.models[0].name",
            "must be a model's name: letters, digits and . _ : / @ + -, without spaces, not 'a b'",
        ),
        (
            "spec.models[1].name",
            "is required: model name that callers ask for; unique within the provider",
        ),
        ("spec.enabled", "must be true or false, not 'yes'"),
        ("spec.priority", "must be 1 to 1000, not 0"),
        ("spec.headers['X-Team']", "must be printable ASCII text without line breaks, not the number 3"),
        (
            "spec.timeouts.connect",
            f"must be {DURATION_HELP}, not the number 5",
        ),
        (
            "spec.timeouts.total",
            f"must be {DURATION_HELP}, not '1d'",
        ),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": []}, "must have 1 to 200 entries, not 0"),
        ({"models": {}}, "must be a list, not a map of fields"),
        ({"models": "gpt"}, "must be a list, not 'gpt'"),
        ({"azure": ["a"]}, "must be a map of fields, not a list"),
        ({"azure": True}, "must be a map of fields, not true"),
        (
            {"baseURL": ""},
            "must not be empty: an http:// or https:// address without user, query and fragment",
        ),
        ({"baseURL": "http://" + "a" * 2100}, "has 2107 characters; at most 2048 are allowed"),
        ({"weight": 1.5}, "must be a whole number, not the number 1.5"),
        ({"weight": True}, "must be a whole number, not true"),
        ({"headers": {3: "a"}}, "has the key the number 3; keys must be strings"),
        ({"headers": {str(n): "a" for n in range(33)}}, "must have at most 32 entries, not 33"),
    ],
)
def test_every_kind_of_mistake_has_its_words(change: dict[str, Any], message: str) -> None:
    assert [told for _, told in advice(SPEC | change)] == [message]


@pytest.mark.parametrize(
    "body", [{}, {"spec": 3}, {"metadata": 3, "spec": SPEC}, [], "x", {"metadata": {"name": ""}}]
)
def test_a_body_that_is_no_object_is_a_failure(body: Any) -> None:
    assert isinstance(parse("LLMProvider", body), ParseFailure)


def test_a_failure_still_says_whose_it_is() -> None:
    failure = parse("LLMProvider", {"metadata": {"name": "x", "namespace": "n", "generation": 3}, "spec": {}})
    assert isinstance(failure, ParseFailure)
    assert (failure.metadata.name, failure.metadata.namespace, failure.metadata.generation) == ("x", "n", 3)
    assert (failure.path, failure.message.partition(":")[0]) == ("spec.type", "is required")


def test_input_deeper_than_any_field_is_refused() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = {"a": deep}
    assert advice(SPEC | {"unknown": deep}) == [("spec", f"is nested more than {MAX_DEPTH} levels deep")]


def test_a_status_of_another_version_is_forgotten_not_fatal() -> None:
    body = {"metadata": {"name": "x"}, "spec": SPEC, "status": {"phase": "Sunny", "observedGeneration": 4}}
    found = parse("LLMProvider", body)
    assert isinstance(found, LLMProvider)
    assert found.status == LLMProviderStatus()


def test_status_goes_to_the_wire_and_back_without_empty_fields() -> None:
    cooldown = CooldownStatus(
        scope=ScopeKind.CREDENTIAL, credential="main", class_=OutcomeClass.RATE_LIMITED, level=0
    )
    status = LLMProviderStatus(observed_generation=2, phase=ProviderPhase.COOLING_DOWN, cooldowns=(cooldown,))
    wire = to_wire(status)
    assert wire == {
        "observedGeneration": 2,
        "phase": "CoolingDown",
        "cooldowns": ({"scope": "Credential", "credential": "main", "class": "RateLimited", "level": 0},),
    }
    found = parse("LLMProvider", {"metadata": {"name": "x"}, "spec": SPEC, "status": wire})
    assert isinstance(found, LLMProvider)
    assert found.status == status


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("base_url", "baseURL"),
        ("cost_per_1k_tokens", "costPer1kTokens"),
        ("p95_latency_ms", "p95LatencyMs"),
        ("from_", "from"),
    ],
)
def test_names_on_the_wire(name: str, wire: str) -> None:
    assert wire_name(name) == wire


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"tier": "gold"}}, True),
        ({"matchLabels": {"tier": "gold", "env": "prod"}}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "tin"]}]}, True),
        ({"matchExpressions": [{"key": "env", "operator": "In", "values": ["prod"]}]}, False),
        ({"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors_choose_as_in_kubernetes(selector: dict[str, Any], *, selected: bool) -> None:
    found = provider(SPEC | {"allowedNamespaces": {"from": "Selector", "selector": selector}})
    assert isinstance(found, LLMProvider)
    assert isinstance(found.spec.allowed_namespaces.selector, LabelSelector)
    assert found.spec.allowed_namespaces.selector.matches({"tier": "gold"}) is selected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "type",
        "models",
        "credentials",
        "headers",
        "timeouts",
        "quota",
        "ramp",
        "classOverrides",
        "durations",
        "condition",
    ]
)


@given(st.sampled_from(sorted(TYPES)), st.dictionaries(FIELDS, JSON, max_size=4) | JSON)
def test_no_input_raises_and_every_refusal_has_advice(kind: str, spec: Any) -> None:
    found = parse(kind, {"metadata": {"name": "x"}, "spec": spec})
    if isinstance(found, ParseFailure):
        assert all(one.path.startswith("spec") and one.message for one in found.problems)
    else:
        violations(found)


def test_a_policy_is_complete_without_a_word() -> None:
    policy = parse_as(CooldownPolicy, {"metadata": {"name": "default"}})
    assert isinstance(policy, CooldownPolicy)
    assert (policy.spec.durations.rate_limit, policy.spec.recovery.ramp) == ("10m", (10, 25, 50, 100))
    assert violations(policy) == []


def test_half_a_surrogate_pair_is_refused_in_the_spec_and_forgotten_in_the_status() -> None:
    metadata = {"name": "x"}
    refused = parse("CooldownPolicy", {"metadata": metadata, "spec": {"durations": {"default": "5m\ud800"}}})
    assert isinstance(refused, ParseFailure)
    assert "surrogate" in refused.message

    read = parse("LLMProvider", {"metadata": metadata, "spec": MINIMAL, "status": {"phase": "\ud800"}})
    assert not isinstance(read, ParseFailure)
    assert read.status.phase is None


MINIMAL = {
    "type": "openai",
    "credentials": [{"name": "main", "secretRef": {"name": "keys", "key": "openai"}}],
    "models": [{"name": "gpt-4o"}],
}


def test_a_version_with_the_same_spec_keeps_the_parsed_one() -> None:
    body = {
        "metadata": {"name": "p", "namespace": "ns", "labels": {"a": "1"}, "generation": 1},
        "spec": {"type": "openai", "models": [{"name": "m"}], "credentials": []},
    }
    before = parse_as(LLMProvider, body)
    assert isinstance(before, LLMProvider)
    newer = {**body, "metadata": {**body["metadata"], "labels": {"a": "2"}}, "status": {"phase": "Healthy"}}
    after = parse_again(before, newer)
    assert isinstance(after, LLMProvider)
    assert after == parse_as(LLMProvider, newer)
    assert after.spec is before.spec
    assert isinstance(parse_again(before, {**newer, "metadata": {}}), ParseFailure)
