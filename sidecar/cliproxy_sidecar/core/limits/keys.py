"""Callers' keys: where they stand in a request, and whose they are. Keys are held as salted digests only.

What a caller may do is `callers`'; refusing is the data path's. The key's own way upstream ends here: the
headers it came in are stripped there (`core.headers`).
"""

from collections.abc import Iterable
from hashlib import blake2b
from hmac import compare_digest
from typing import Final, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from cliproxy_sidecar.core.headers import Header

T = TypeVar("T")

MAX_KEY_BYTES: Final = 16 * 1024
"""The operator takes no longer ones from Secrets."""
_PLAIN: Final = frozenset({b"x-api-key", b"x-goog-api-key", b"api-key"})
_BEARER: Final = b"bearer "


def key_of(headers: Iterable[Header], query: bytes = b"") -> bytes | None:
    """Return the caller's key: of `Authorization: Bearer`, `x-api-key`, `x-goog-api-key` or `?key=`.

    The first header that has one counts. None: there is no key.
    """
    for name, value in headers:
        if name == b"authorization":
            if value[:7].lower() == _BEARER and (key := value[7:].strip()):
                return key
        elif name in _PLAIN and value:
            return value.strip()
    if b"key=" in query:
        for part in query.split(b"&"):
            name, _, value = part.partition(b"=")
            if name == b"key" and value:
                return unquote_to_bytes(value)
    return None


class KeyRing(Generic[T]):
    """Keys by digest. `salt` (16 to 64 bytes) is this process's own, so digests mean nothing elsewhere."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._owners: dict[bytes, tuple[bytes, T]] = {}

    def add(self, key: str, owner: T) -> T | None:
        """Make a key the owner's; return who has it already, and then keeps it."""
        digest = self.digest(key.encode())
        if digest in self._owners:
            return self._owners[digest][1]
        self._owners[digest] = (digest, owner)
        return None

    def digest(self, key: bytes) -> bytes:
        """Return what a key is known by here."""
        return blake2b(key[:MAX_KEY_BYTES], key=self._salt, digest_size=32).digest()

    def owner(self, digest: bytes) -> T | None:
        """Return whose key it is; the time it takes says nothing of any key that is held."""
        found = self._owners.get(digest)
        if found is None or not compare_digest(found[0], digest):
            return None
        return found[1]
