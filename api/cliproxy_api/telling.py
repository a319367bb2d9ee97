"""What sidecars of a profile tell about the requests they serve: traces, and the log's copy in a file.

Part of `snapshot.Profile`.
"""

import msgspec


class Tracing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where spans go, and of which requests."""

    url: str
    """Complete, such as "http://collector:4318/v1/traces"."""
    sample_rate: float = 0.1
    """Of requests whose caller has not decided; failed ones are recorded besides. 0 to 1."""


class LogFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How large and old the log's file becomes, and how many are kept besides."""

    max_bytes: int = 100 * 1024 * 1024
    max_age_s: float = 7 * 86_400.0
    """When a file is turned over, and when one that was is removed."""
    backups: int = 5
