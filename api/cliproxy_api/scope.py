"""The key of a cooldown: which provider, and which credential or model of it.

A target (provider x credential x model) is covered by a scope when every part that the scope names is the
target's.
"""

import msgspec

from cliproxy_api.vocabulary import ScopeKind


class Scope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """What sits out: a whole provider, one credential, one model, or one model under one credential.

    `provider` is "namespace/name" (unique in the fleet); `model` is the *upstream* model name, since limits
    belong to what the provider calls it.
    """

    provider: str
    credential: str | None = None
    model: str | None = None

    @property
    def kind(self) -> ScopeKind:
        """Which parts the scope names."""
        match (self.credential, self.model):
            case (None, None):
                return ScopeKind.PROVIDER
            case (_, None):
                return ScopeKind.CREDENTIAL
            case (None, _):
                return ScopeKind.MODEL
            case _:
                return ScopeKind.CREDENTIAL_MODEL

    def covers(self, *, provider: str, credential: str, model: str) -> bool:
        """Whether a target made of these parts is taken out by this scope."""
        return (
            self.provider == provider
            and self.credential in (None, credential)
            and self.model in (None, model)
        )
