"""Where keys stand, whose they are, and that nothing of them is kept."""

import pytest

from cliproxy_sidecar.core.limits.keys import KeyRing, key_of

SALT = b"0123456789abcdef"


@pytest.mark.parametrize(
    ("headers", "query", "key"),
    [
        ([(b"authorization", b"Bearer sk-1")], b"", b"sk-1"),
        ([(b"authorization", b"bearer  sk-1 ")], b"", b"sk-1"),
        ([(b"x-api-key", b"sk-2")], b"", b"sk-2"),
        ([(b"x-goog-api-key", b"sk-3")], b"", b"sk-3"),
        ([(b"api-key", b"sk-4")], b"", b"sk-4"),
        ([(b"authorization", b"Basic abc"), (b"x-api-key", b"sk-2")], b"", b"sk-2"),
        ([(b"authorization", b"Bearer "), (b"x-api-key", b"")], b"", None),
        ([], b"alt=sse&key=sk%2D5", b"sk-5"),
        ([], b"monkey=1&key=", None),
        ([(b"host", b"x")], b"", None),
    ],
)
def test_a_key_is_found_where_sdks_put_it(
    headers: list[tuple[bytes, bytes]], query: bytes, key: bytes | None
) -> None:
    assert key_of(headers, query) == key


def test_a_ring_knows_owners_by_digests_only() -> None:
    ring: KeyRing[str] = KeyRing(SALT)
    assert ring.add("sk-web", "web") is None
    assert ring.add("sk-web", "batch") == "web"
    assert ring.owner(ring.digest(b"sk-web")) == "web"
    assert ring.owner(ring.digest(b"sk-other")) is None
    assert "sk-web" not in repr(vars(ring))


def test_another_salt_gives_other_digests() -> None:
    one: KeyRing[str] = KeyRing(SALT)
    other: KeyRing[str] = KeyRing(SALT[::-1])
    assert one.digest(b"sk-web") != other.digest(b"sk-web")
