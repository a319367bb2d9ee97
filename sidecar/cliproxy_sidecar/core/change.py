"""What a new snapshot means for known cooldowns: which scopes still exist, which faults are mended."""

from typing import Final

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_sidecar.core.scope_state import ScopeState

_OF_THE_KEY: Final = (OutcomeClass.AUTH, OutcomeClass.QUOTA_MONEY)


def names(provider: Provider | None, scope: Scope) -> bool:
    """Return whether the provider is there and has the credential and the model that the scope names."""
    if provider is None:
        return False
    credentials = (None, *(credential.name for credential in provider.credentials))
    models = (None, *(model.upstream_name for model in provider.models))
    return scope.credential in credentials and scope.model in models


def is_mended(old: Provider, new: Provider, state: ScopeState) -> bool:
    """Return whether the change takes away the ground of a cooldown.

    A person's cooldown stays, and what a document lists is the operator's to end.
    """
    cause = state.cause.outcome_class
    if state.phase is None or cause is None or state.entry is not None:
        return False
    if new.base_url != old.base_url or not new.cooldown.enabled:
        return True
    named = state.scope.credential
    return named is not None and cause in _OF_THE_KEY and _digest(old, named) != _digest(new, named)


def _digest(provider: Provider, credential: str) -> str | None:
    return next((item.secret_digest for item in provider.credentials if item.name == credential), None)
