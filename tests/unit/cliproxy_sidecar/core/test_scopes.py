"""What an outcome takes out of use, spelt out."""

import pytest

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Credential, Model, Provider
from cliproxy_api.vocabulary import OutcomeClass, ProviderType, ScopeKind
from cliproxy_sidecar.core.outcome import Outcome
from cliproxy_sidecar.core.scopes import model_family, scopes_of


def provider(provider_type: ProviderType, *upstream: str) -> Provider:
    return Provider(
        id="ns/p",
        name="p",
        type=provider_type,
        base_url="https://example.com",
        credentials=(Credential(name="a", secret="ns/s/k", secret_digest="d"),),
        models=tuple(
            Model(name=f"public-{number}", upstream_name=name) for number, name in enumerate(upstream)
        ),
    )


def outcome(kind: ScopeKind | None) -> Outcome:
    return Outcome(OutcomeClass.RATE_LIMITED, scope_kind=kind)


@pytest.mark.parametrize(
    ("kind", "scopes"),
    [
        (None, ()),
        (ScopeKind.PROVIDER, (Scope(provider="ns/p"),)),
        (ScopeKind.CREDENTIAL, (Scope(provider="ns/p", credential="a"),)),
        (ScopeKind.MODEL, (Scope(provider="ns/p", model="m"),)),
        (ScopeKind.CREDENTIAL_MODEL, (Scope(provider="ns/p", credential="a", model="m"),)),
    ],
)
def test_scopes_by_kind(kind: ScopeKind | None, scopes: tuple[Scope, ...]) -> None:
    assert scopes_of(outcome(kind), provider(ProviderType.OPENAI, "m", "n"), "a", "m") == scopes
    assert all(scope.kind is kind for scope in scopes)


def test_an_anthropic_limit_cools_the_family_the_called_model_first() -> None:
    served = provider(
        ProviderType.ANTHROPIC,
        "claude-sonnet-4-20250514",
        "claude-opus-4-5",
        "claude-sonnet-4-5",
        "claude-sonnet-4-5",
        "claude-3-5-sonnet-20241022",
    )
    scopes = scopes_of(outcome(ScopeKind.CREDENTIAL_MODEL), served, "a", "claude-sonnet-4-5")
    assert [scope.model for scope in scopes] == ["claude-sonnet-4-5", "claude-sonnet-4-20250514"]
    assert {scope.credential for scope in scopes} == {"a"}


def test_an_overloaded_model_does_not_cool_its_family() -> None:
    served = provider(ProviderType.ANTHROPIC, "claude-sonnet-4-5", "claude-sonnet-4-0")
    scopes = scopes_of(outcome(ScopeKind.MODEL), served, "a", "claude-sonnet-4-5")
    assert scopes == (Scope(provider="ns/p", model="claude-sonnet-4-5"),)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("claude-opus-4-1-20250805", "opus-4"),
        ("claude-opus-4-20250514", "opus-4"),
        ("claude-sonnet-4-5", "sonnet-4"),
        ("claude-haiku-4-5-20251001", "haiku-4"),
        ("claude-sonnet-5", "sonnet-5"),
        ("claude-3-5-haiku-20241022", "haiku-3-5"),
        ("claude-3-5-haiku-latest", "haiku-3-5"),
        ("claude-3-haiku-20240307", "haiku-3"),
        ("claude-3-7-sonnet-20250219", "sonnet-3-7"),
        ("claude-2.1", "claude-2.1"),
        ("my-own", "my-own"),
        ("", ""),
    ],
)
def test_anthropics_families(model: str, family: str) -> None:
    assert model_family(ProviderType.ANTHROPIC, model) == family
    assert model_family(ProviderType.OPENAI, model) == model
