"""Objects to snapshots: pure, total, isolated and independent of the order of its inputs.

One object's fault becomes a diagnostic for that object and leaves all others alone. A provider's own part is
in `compile_provider`, a policy's in `compile_policy`; what is wrong in an object `validate` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cliproxy_api.snapshot import Provider, Snapshot
from cliproxy_operator.inputs import Inputs, ObjectKey
from cliproxy_operator.validate import Diagnostic


@dataclass(frozen=True, slots=True)
class Compiled:
    """What one namespace's objects come to."""

    snapshots: Mapping[str, Snapshot]
    """By profile name, sealed: "" always, and every wanted profile that exists and is valid."""
    diagnostics: Mapping[ObjectKey, tuple[Diagnostic, ...]]
    """For every object of the namespace itself; empty: nothing to complain about."""
    providers: Mapping[str, Provider]
    """By id: what any snapshot of the namespace may hold, also that of other namespaces."""
    policy_users: Mapping[ObjectKey, tuple[str, ...]]
    """By policy of this namespace: names of the providers that it is in force for, sorted."""
    missing_profiles: frozenset[str]
    """Profiles that pods ask for and that do not exist or are invalid."""


def compile_namespace(inputs: Inputs) -> Compiled:
    """Return the snapshots of a namespace and what is wrong with its objects. Never raises."""
    raise NotImplementedError


def needed_secrets(inputs: Inputs) -> frozenset[tuple[str, str]]:
    """Return (namespace, name) of every Secret that the result depends on."""
    raise NotImplementedError
