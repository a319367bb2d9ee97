"""What sidecars of a profile tell about the requests they serve: traces.

Part of `snapshot.Profile`.
"""

import msgspec


class Tracing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where spans go, and of which requests."""

    url: str
    """Complete, such as "http://collector:4318/v1/traces"."""
    sample_rate: float = 0.1
    """Of requests whose caller has not decided; failed ones are recorded besides. 0 to 1."""
