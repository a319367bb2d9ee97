"""What sidecars of a profile do less of: answers kept, identical requests shared, embeddings joined.

Part of `snapshot.Profile`. Durations are seconds; the password stands by reference, as credentials do.
"""

import msgspec


class Redis(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The second level of the cache, shared by the sidecars of a profile."""

    url: str
    """redis:// or rediss:// (TLS), host, port, database; without a password."""
    password: str = ""
    """Where the value stands in `SnapshotPush.secrets`: "namespace/secret-name/key"; "": none is sent."""
    password_digest: str = ""
    """Changes when the value does, so that a rotated password changes the snapshot's digest."""


class Cache(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many answers are kept in one sidecar, and how long."""

    size: int = 1000
    """Answers."""
    max_bytes: int = 32 * 1024 * 1024
    """All answers together, keys and headers included."""
    ttl_s: float = 300.0
    redis: Redis | None = None


class Batching(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How embedding requests are joined."""

    max_inputs: int = 10
    """In one joined request."""
    timeout_s: float = 0.1
    """The longest that the first waits for others."""
