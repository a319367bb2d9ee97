"""Which secret values a snapshot names, and for whom: what must travel beside it.

The values themselves are nobody's business here; the sender collects them, `codec` checks that none lacks.
"""

from cliproxy_api.snapshot import Snapshot


def secret_references(snapshot: Snapshot) -> dict[str, str]:
    """Return every reference ("namespace/secret-name/key") in the snapshot, and who uses it, for people."""
    found = {
        credential.secret: f"provider {provider.id!r}"
        for provider in snapshot.providers
        for credential in provider.credentials
        if credential.secret
    }
    cache = snapshot.profile.cache
    if cache is not None and cache.redis is not None and cache.redis.password:
        found[cache.redis.password] = "the cache's Redis"
    for consumer in snapshot.profile.consumers:
        if consumer.secret:
            found[consumer.secret] = f"consumer {consumer.name!r}"
    return found
