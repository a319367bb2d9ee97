"""Compiling a namespace: isolated faults, whose providers, which policy, what stands in a snapshot."""

import msgspec
import pytest

from cliproxy_api.codec import decode_snapshot_push, encode, seal
from cliproxy_api.resources.parse import ParseFailure
from cliproxy_api.snapshot import KEYLESS, Azure, ClassOverride, Position, Profile, SnapshotPush
from cliproxy_api.vocabulary import OutcomeClass, Trip
from cliproxy_operator.compile import Compiled, compile_namespace, needed_secrets
from cliproxy_operator.inputs import AddressRules, Inputs, Kind, ObjectKey, SecretView
from support.objects import NAMESPACE, alert, broken, inputs, llm, policy, profile


def names(compiled: Compiled, profile_name: str = "") -> list[str]:
    return [provider.name for provider in compiled.snapshots[profile_name].providers]


def reasons(compiled: Compiled, name: str, kind: Kind = Kind.LLM_PROVIDER) -> list[str]:
    return [f"{one.severity}:{one.reason}" for one in compiled.diagnostics[ObjectKey(kind, NAMESPACE, name)]]


def test_an_empty_namespace_has_a_snapshot_all_the_same() -> None:
    compiled = compile_namespace(Inputs(namespace="empty"))
    snapshot = compiled.snapshots[""]
    assert (snapshot.namespace, snapshot.providers, snapshot.profile) == ("empty", (), Profile())
    assert snapshot.digest


def test_a_snapshot_is_what_a_sidecar_takes() -> None:
    snapshot = compile_namespace(inputs(llm())).snapshots[""]
    push = SnapshotPush(position=Position(1, 1), snapshot=snapshot, secrets={"team/keys/api-key": "value"})
    assert decode_snapshot_push(encode(push)).snapshot == snapshot


class TestIsolation:
    def test_a_bad_object_takes_only_itself_out(self) -> None:
        bad = [
            broken(),
            llm("rude", headers={"Authorization": "x"}),
            llm("spy", baseURL="http://169.254.1.1"),
        ]
        alone = compile_namespace(inputs(llm()))
        compiled = compile_namespace(inputs(*bad, llm()))
        assert compiled.snapshots[""].providers == alone.snapshots[""].providers
        assert reasons(compiled, "claude") == []
        assert (
            reasons(compiled, "broken")
            == ["Error:Invalid", "Error:Invalid"][: len(reasons(compiled, "broken"))]
        )
        assert reasons(compiled, "rude") == ["Error:Invalid"]
        assert reasons(compiled, "spy") == ["Error:AddressRefused"]

    def test_addresses_are_the_operators_to_allow(self) -> None:
        given = inputs(llm(baseURL="http://169.254.1.1/v1"), addresses=AddressRules(allow_link_local=True))
        assert names(compile_namespace(given)) == ["claude"]

    def test_faults_of_other_namespaces_are_not_told_here(self) -> None:
        compiled = compile_namespace(inputs(llm("far", namespace="platform", headers={"Cookie": "x"})))
        assert dict(compiled.diagnostics) == {}
        assert names(compiled) == []

    def test_every_object_of_the_namespace_has_a_verdict(self) -> None:
        compiled = compile_namespace(inputs(llm(), broken(), policy(), profile(), alert()))
        assert {str(key.kind) for key in compiled.diagnostics} == set(map(str, Kind))


class TestSecrets:
    def two_keys(self) -> list[dict[str, object]]:
        return [
            {"name": "main", "secretRef": {"name": "keys", "key": "api-key"}},
            {"name": "spare", "secretRef": {"name": "gone", "key": "api-key"}, "weight": 2},
        ]

    def test_all_that_may_be_used_is_asked_for(self) -> None:
        shared = llm("shared", namespace="platform", allowedNamespaces={"from": "All"})
        private = llm("private", namespace="vault")
        given = inputs(llm(credentials=self.two_keys()), shared, private, broken())
        assert needed_secrets(given) == {("team", "keys"), ("team", "gone"), ("platform", "keys")}

    def test_without_any_key_the_provider_is_left_out(self) -> None:
        compiled = compile_namespace(inputs(llm(), secrets={}))
        assert names(compiled) == []
        assert reasons(compiled, "claude") == ["Error:SecretNotFound"]
        (diagnostic,) = compiled.diagnostics[ObjectKey(Kind.LLM_PROVIDER, NAMESPACE, "claude")]
        assert diagnostic.path == "spec.credentials[0].secretRef"
        assert all(word in diagnostic.message for word in ("keys", "team", "api-key"))

    @pytest.mark.parametrize("view", [SecretView({}), SecretView({"other": "d"})])
    def test_without_the_value_too(self, view: SecretView) -> None:
        compiled = compile_namespace(inputs(llm(), secrets={("team", "keys"): view}))
        assert reasons(compiled, "claude") == ["Error:SecretKeyNotFound"]

    def test_with_one_key_of_two_it_runs_and_says_so(self) -> None:
        compiled = compile_namespace(inputs(llm(credentials=self.two_keys())))
        (provider,) = compiled.snapshots[""].providers
        assert [credential.name for credential in provider.credentials] == ["main"]
        assert reasons(compiled, "claude") == ["Warning:SecretNotFound"]

    def test_a_rotated_key_is_another_snapshot(self) -> None:
        def digest(value: str) -> str:
            secrets = {("team", "keys"): SecretView({"api-key": value})}
            return compile_namespace(inputs(llm(), secrets=secrets)).snapshots[""].digest

        assert digest("d1") != digest("d2")
        assert digest("d1") == digest("d1")

    def test_a_key_of_weight_zero_is_taken_out(self) -> None:
        keys = [
            *self.two_keys()[:1],
            {"name": "rest", "secretRef": {"name": "keys", "key": "api-key"}, "weight": 0},
        ]
        (provider,) = compile_namespace(inputs(llm(credentials=keys))).snapshots[""].providers
        assert [credential.name for credential in provider.credentials] == ["main"]

    def test_a_provider_may_do_without_keys_if_its_type_may(self) -> None:
        local = llm(type="openai_compatible", baseURL="http://vllm:8000/v1", credentials=[])
        (provider,) = compile_namespace(inputs(local)).snapshots[""].providers
        assert provider.credentials == (KEYLESS,)


class TestWhoseProviders:
    @pytest.mark.parametrize(
        ("allowed", "is_in"),
        [
            ({}, False),
            ({"from": "All"}, True),
            ({"from": "Selector", "selector": {"matchLabels": {"tier": "gold"}}}, True),
            ({"from": "Selector", "selector": {"matchLabels": {"tier": "silver"}}}, False),
            ({"from": "Selector"}, False),
        ],
    )
    def test_others_decide_who_may_use_theirs(self, *, allowed: dict[str, object], is_in: bool) -> None:
        far = llm("far", namespace="platform", allowedNamespaces=allowed)
        compiled = compile_namespace(inputs(far, namespace_labels={"tier": "gold"}))
        assert names(compiled) == (["platform/far"] if is_in else [])
        assert set(compiled.providers) == ({"platform/far"} if is_in else set())

    def test_equal_names_of_two_namespaces_do_not_meet(self) -> None:
        compiled = compile_namespace(
            inputs(llm("gpt"), llm("gpt", namespace="platform", allowedNamespaces={"from": "All"}))
        )
        assert names(compiled) == ["platform/gpt", "gpt"]
        assert [one.id for one in compiled.snapshots[""].providers] == ["platform/gpt", "team/gpt"]

    def test_disabled_ones_are_in_no_snapshot_and_not_at_fault(self) -> None:
        compiled = compile_namespace(inputs(llm(enabled=False)))
        assert names(compiled) == []
        assert reasons(compiled, "claude") == []


class TestPolicies:
    def threshold(self, compiled: Compiled) -> int:
        (provider,) = compiled.snapshots[""].providers
        return provider.cooldown.error_threshold

    def test_built_in_default_named(self) -> None:
        default, mine = policy("house", default=True, errorThreshold=8), policy("mine", errorThreshold=7)
        ref = {"cooldownPolicyRef": {"name": "mine"}}
        assert self.threshold(compile_namespace(inputs(llm(), mine))) == 5
        assert self.threshold(compile_namespace(inputs(llm(), default, mine))) == 8
        assert self.threshold(compile_namespace(inputs(llm(**ref), default, mine))) == 7

    @pytest.mark.parametrize(
        ("others", "reason", "threshold"),
        [
            ([], "PolicyNotFound", 5),
            ([policy("house", default=True, errorThreshold=8)], "PolicyNotFound", 8),
            ([policy("mine", namespace="platform")], "PolicyNotFound", 5),
            ([policy("mine", recovery={"ramp": [100, 50]})], "PolicyInvalid", 5),
        ],
    )
    def test_a_missing_one_never_takes_the_provider_away(
        self, others: list[object], reason: str, threshold: int
    ) -> None:
        compiled = compile_namespace(inputs(llm(cooldownPolicyRef={"name": "mine"}), *others))
        assert self.threshold(compiled) == threshold
        assert reasons(compiled, "claude") == [f"Warning:{reason}"]

    def test_of_two_defaults_the_older_wins_then_the_name(self) -> None:
        young = policy("a", default=True, errorThreshold=1, created="2026-02-01T00:00:00Z")
        old = policy("b", default=True, errorThreshold=2, created="2026-01-01T00:00:00Z")
        undated = policy("c", default=True, errorThreshold=3)
        compiled = compile_namespace(inputs(llm(), undated, young, old))
        assert self.threshold(compiled) == 2
        kind = Kind.COOLDOWN_POLICY
        assert [reasons(compiled, name, kind) for name in "abc"] == [
            ["Warning:DuplicateDefault"],
            [],
            ["Warning:DuplicateDefault"],
        ]
        same = compile_namespace(inputs(llm(), policy("y", default=True, errorThreshold=9), undated))
        assert self.threshold(same) == 3

    def test_users_are_counted_for_policies_of_this_namespace(self) -> None:
        far = llm("far", namespace="platform", allowedNamespaces={"from": "All"})
        compiled = compile_namespace(
            inputs(
                llm("b"),
                llm("a", enabled=False),
                far,
                policy("house", default=True),
                policy("idle"),
                policy("theirs", namespace="platform", default=True),
            )
        )
        assert {key.name: users for key, users in compiled.policy_users.items()} == {
            "house": ("a", "b"),
            "idle": (),
        }

    def test_an_unreadable_policy_is_told(self) -> None:
        given = inputs(llm())
        failure = broken("odd")
        compiled = compile_namespace(msgspec_replace(given, policies=(failure,)))
        assert reasons(compiled, "odd", Kind.COOLDOWN_POLICY)[0] == "Error:Invalid"


class TestProfiles:
    def test_those_that_pods_ask_for_are_compiled(self) -> None:
        asked = frozenset({"gold", "bad", "absent"})
        bad = profile("bad", failover={"mode": "active_passive"})
        compiled = compile_namespace(inputs(llm(), profile(), profile("idle"), bad, profile_names=asked))
        assert set(compiled.snapshots) == {"", "gold"}
        assert compiled.missing_profiles == {"bad", "absent"}
        assert compiled.snapshots["gold"].profile.name == "gold"

    def test_a_selector_chooses_providers(self) -> None:
        eu = llm("eu", meta={"labels": {"region": "eu"}})
        chosen = profile(providerSelector={"matchLabels": {"region": "eu"}})
        compiled = compile_namespace(inputs(eu, llm("us"), chosen, profile_names=frozenset({"gold"})))
        assert names(compiled, "gold") == ["eu"]
        assert names(compiled) == ["eu", "us"]

    def test_a_backup_address_is_judged_too(self) -> None:
        spy = profile(failover={"mode": "active_passive", "backupURL": "http://169.254.1.1/"})
        compiled = compile_namespace(inputs(spy))
        assert reasons(compiled, "gold", Kind.PROXY_PROFILE) == ["Error:AddressRefused"]


def test_what_a_snapshot_was_made_from_is_named() -> None:
    compiled = compile_namespace(
        inputs(
            llm(), policy("house", default=True), policy("idle"), profile(), profile_names=frozenset({"gold"})
        )
    )
    assert [f"{one.kind}/{one.name}" for one in compiled.snapshots["gold"].objects] == [
        "CooldownPolicy/house",
        "LLMProvider/claude",
        "ProxyProfile/gold",
    ]


def test_a_new_generation_is_a_new_snapshot() -> None:
    old = compile_namespace(inputs(llm())).snapshots[""]
    new = compile_namespace(inputs(llm(meta={"generation": 2}))).snapshots[""]
    assert old.digest != new.digest
    assert seal(new) == new


def msgspec_replace(given: Inputs, **changes: tuple[ParseFailure, ...]) -> Inputs:
    """Return the inputs with unreadable entries of a kind."""
    fields = {name: getattr(given, name) for name in given.__slots__}
    return Inputs(**{**fields, **changes})


def test_every_field_that_reaches_a_snapshot_is_in_a_golden_case_but_these_are_also_here() -> None:
    overrides = {"Overloaded": {"duration": "9s"}, "Auth": {"trip": "Never"}}
    azure = llm(type="azure_openai", baseURL="https://a.openai.azure.com", azure={"apiVersion": "2024-10-21"})
    compiled = compile_namespace(inputs(azure, policy("house", default=True, classOverrides=overrides)))
    (provider,) = compiled.snapshots[""].providers
    assert provider.azure == Azure(api_version="2024-10-21")
    assert provider.cooldown.overrides == {
        OutcomeClass.OVERLOADED: ClassOverride(duration_s=9.0),
        OutcomeClass.AUTH: ClassOverride(trip=Trip.NEVER),
    }


def test_keys_have_ids() -> None:
    assert ObjectKey(Kind.LLM_PROVIDER, "team", "claude").id == "team/claude"


class TestHeaders:
    @pytest.mark.parametrize(
        "headers",
        [{"X-Auth-Token": "x"}, {"X-Team": "a", "x-team": "b"}, {"Authorization": "x"}, {"Host": "x"}],
    )
    def test_keys_and_doubles_are_refused(self, headers: dict[str, str]) -> None:
        assert names(compile_namespace(inputs(llm(headers=headers)))) == []

    def test_others_go_through(self) -> None:
        (provider,) = compile_namespace(inputs(llm(headers={"X-Team": "a"}))).snapshots[""].providers
        assert provider.headers == {"X-Team": "a"}


def test_a_trailing_slash_and_a_missing_address_are_made_good() -> None:
    public = compile_namespace(inputs(llm())).snapshots[""].providers[0]
    own = compile_namespace(inputs(llm(baseURL="https://gate/v1/"))).snapshots[""].providers[0]
    assert (public.base_url, own.base_url) == ("https://api.anthropic.com", "https://gate/v1")
    assert msgspec.json.encode(own)


def test_a_profiles_redis_password_is_needed_only_while_the_cache_is_on() -> None:
    redis = {"url": "redis://redis", "passwordSecretRef": {"name": "redis", "key": "password"}}
    on = inputs(profile(cache={"enabled": True, "redis": redis}))
    off = inputs(profile(cache={"enabled": False, "redis": redis}))
    assert needed_secrets(on) == {("team", "redis")}
    assert needed_secrets(off) == frozenset()


def test_a_rotated_redis_password_is_a_new_snapshot() -> None:
    redis = {"url": "redis://redis", "passwordSecretRef": {"name": "redis", "key": "password"}}
    gold = profile(cache={"enabled": True, "redis": redis})

    def digest(value: str) -> str:
        secrets = {("team", "redis"): SecretView({"password": value})}
        compiled = compile_namespace(inputs(gold, secrets=secrets, profile_names=frozenset({"gold"})))
        return compiled.snapshots["gold"].digest

    assert digest("d1") != digest("d2")
