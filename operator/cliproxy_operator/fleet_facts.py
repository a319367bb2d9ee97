"""Small facts that the fleet's parts share: what a provider has, the order of scopes, who saw a failure."""

from typing import Final

import msgspec

from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Provider
from cliproxy_api.state import Evidence
from cliproxy_operator.view import SidecarId

MAX_REASON_CHARS: Final = 256
MAX_EVIDENCE_CHARS: Final = 128


def has(provider: Provider, scope: Scope) -> bool:
    """Whether the provider has the credential and the model that the scope names."""
    credentials = (None, *(credential.name for credential in provider.credentials))
    models = (None, *(model.upstream_name for model in provider.models))
    return scope.credential in credentials and scope.model in models


def keys_of(provider: Provider, scope: Scope) -> dict[str, str]:
    """Return digests of the keys that the scope covers."""
    return {
        credential.name: credential.secret_digest
        for credential in provider.credentials
        if scope.credential in (None, credential.name)
    }


def scope_order(scope: Scope) -> tuple[str, str, str]:
    """Return a sort key: a provider's widest scopes first."""
    return scope.provider, scope.credential or "", scope.model or ""


def seen_by(evidence: Evidence, sidecar: SidecarId) -> Evidence:
    """Return the evidence with the sidecar's name, cut to what status takes."""
    return msgspec.structs.replace(
        evidence,
        code=evidence.code[:MAX_EVIDENCE_CHARS] if evidence.code else None,
        header=evidence.header[:MAX_EVIDENCE_CHARS] if evidence.header else None,
        sidecar=sidecar.pod,
    )
