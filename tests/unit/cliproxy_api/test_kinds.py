"""Where objects stand in the API, and that no name leads elsewhere."""

import pytest

from cliproxy_api.kinds import LEASE, NAMESPACE, PROVIDER, SECRET, NoName, is_namespace

STRANGE = [
    "../secrets?x=",
    "..",
    ".",
    "",
    "a/b",
    "a?watch=1",
    "a#b",
    "a%2fb",
    "a\\b",
    "a b",
    "a\n",
    "Upper",
    "-a",
    "a-",
    "\uff41",
    "a" * 254,
]


def test_places() -> None:
    assert SECRET.path() == "/api/v1/secrets"
    assert SECRET.path("shop") == "/api/v1/namespaces/shop/secrets"
    assert PROVIDER.path("shop", "gpt-4.1", "status") == (
        "/apis/cliproxy.io/v1alpha1/namespaces/shop/llmproviders/gpt-4.1/status"
    )
    assert NAMESPACE.path(None, "shop") == "/api/v1/namespaces/shop"
    assert LEASE.path("a" * 63, "a" * 253).endswith("/" + "a" * 253)


@pytest.mark.parametrize("text", STRANGE)
def test_what_is_no_name_becomes_no_address(text: str) -> None:
    with pytest.raises(NoName, match="no name that a Secret can have"):
        SECRET.path("shop", text)
    if text:
        with pytest.raises(NoName, match="no name that a namespace can have"):
            SECRET.path(text, "keys")


@pytest.mark.parametrize("text", [*STRANGE, "two.labels", "a" * 64])
def test_what_is_no_namespace(text: str) -> None:
    assert not is_namespace(text)
