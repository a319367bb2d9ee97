"""What a request can be sent to: provider x credential x model, with the keys that the machines look up.

Built once per snapshot by `routing`; compared by identity, named by `id`.
"""

from dataclasses import dataclass, field

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Credential, Model, Provider

TargetId = tuple[str, str, str]
"""Provider id, credential name, upstream model name."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One way to serve a model."""

    provider: Provider
    credential: Credential
    model: Model
    id: TargetId = field(init=False)
    provider_id: str = field(init=False)
    scopes: tuple[Scope, ...] = field(init=False, repr=False)
    """Every scope whose cooldown takes this target out, the widest first."""

    def __post_init__(self) -> None:
        provider, credential, model = self.provider.id, self.credential.name, self.model.upstream_name
        object.__setattr__(self, "id", (provider, credential, model))
        object.__setattr__(self, "provider_id", provider)
        scopes = (
            Scope(provider=provider),
            Scope(provider=provider, credential=credential),
            Scope(provider=provider, model=model),
            Scope(provider=provider, credential=credential, model=model),
        )
        object.__setattr__(self, "scopes", scopes)
