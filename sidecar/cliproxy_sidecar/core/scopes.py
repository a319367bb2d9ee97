"""Which scopes an outcome cools: the provider's limits spelt out as keys of cooldowns.

A cooldown's model matches a target's upstream model by equality. Anthropic pools its limits per model family,
so a limit hit by one model is told as one scope per model of the family that the provider serves.
"""

import re
from typing import Final, assert_never

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import ProviderType, ScopeKind
from cliproxy_sidecar.core.outcome import Outcome

_CLAUDE: Final = re.compile(
    r"claude-(?:(?P<tier>opus|sonnet|haiku)-(?P<major>\d+)|(?P<old>\d+(?:-\d)?)-(?P<old_tier>opus|sonnet|haiku))(?!\d)"
)


def scopes_of(
    outcome: Outcome, provider: Provider, credential: str, upstream_model: str
) -> tuple[Scope, ...]:
    """Return what the outcome of a call with this credential and model takes out of use; () for nothing.

    The first scope is the one that was called; others follow only for a pooled family, sorted.
    """
    match outcome.scope_kind:
        case None:
            return ()
        case ScopeKind.PROVIDER:
            return (Scope(provider=provider.id),)
        case ScopeKind.CREDENTIAL:
            return (Scope(provider=provider.id, credential=credential),)
        case ScopeKind.MODEL:
            return (Scope(provider=provider.id, model=upstream_model),)
        case ScopeKind.CREDENTIAL_MODEL:
            models = (upstream_model, *_siblings(provider, upstream_model))
            return tuple(Scope(provider=provider.id, credential=credential, model=model) for model in models)
        case _:
            assert_never(outcome.scope_kind)


def model_family(provider_type: ProviderType, upstream_model: str) -> str:
    """Return the name of the pool that the model's rate limits belong to; its own name where none is known.

    Anthropic counts all Opus 4.x together, all Sonnet 4.x together, and so on; models before 4 stand alone
    whatever their date. Source: Anthropic API documentation, rate limits (read 2026-11).
    """
    if provider_type is not ProviderType.ANTHROPIC:
        return upstream_model
    match = _CLAUDE.match(upstream_model)
    if match is None:
        return upstream_model
    return f"{match['tier'] or match['old_tier']}-{match['major'] or match['old']}"


def _siblings(provider: Provider, upstream_model: str) -> list[str]:
    family = model_family(provider.type, upstream_model)
    names = {model.upstream_name for model in provider.models} - {upstream_model}
    return sorted(name for name in names if model_family(provider.type, name) == family)
