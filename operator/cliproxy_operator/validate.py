"""What the CRD schema cannot say: rules across fields and objects, as diagnostics.

Used by `compile` and by admission. Rules across the fields of one object are `cliproxy_api.rules`; servers
that enforce CEL have refused those already.
"""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a diagnostic is."""

    ERROR = "Error"
    """The object is left out."""
    WARNING = "Warning"
    """The object is in force, less what the message says."""


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One thing that is wrong with an object."""

    severity: Severity
    reason: str
    """One CamelCase word, `cliproxy_api.conditions.Reason`."""
    path: str
    """The field, as in YAML ("spec.credentials[0].secretRef"); "" for the whole object."""
    message: str
    """What is wrong and what to do about it, one sentence."""
