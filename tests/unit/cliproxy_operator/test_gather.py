"""Which namespaces and profiles count as ours."""

from __future__ import annotations

from typing import Any

from cliproxy_operator.gather import Gatherer
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.kinds import NAMESPACE, POD, PROFILE, PROVIDER, SECRET, Resource
from cliproxy_operator.store import Store
from cliproxy_operator.vault import Vault
from support.listkube import ListKube


def gatherer(*objects: tuple[Resource, str, str], marked: tuple[str, ...] = ()) -> Gatherer:
    store = Store(lambda _change: None)
    for number, (resource, namespace, name) in enumerate(objects, 1):
        store.upsert(resource, {"metadata": _metadata(number, name, namespace=namespace)})
    for number, name in enumerate((*marked, "plain"), 100):
        labels = {"cliproxy.io/inject": "true"} if name in marked else {"cliproxy.io/inject": "yes"}
        store.upsert(NAMESPACE, {"metadata": _metadata(number, name, labels=labels)})
    vault = Vault(lambda _namespaces: None, digest_key=b"key")
    return Gatherer(store=store, vault=vault, kube=None, addresses=AddressRules())  # type: ignore[arg-type]


def _metadata(number: int, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "resourceVersion": str(number), "uid": str(number), **more}


def test_served_is_what_holds_anything_of_ours_or_is_marked_for_injection() -> None:
    made = gatherer((PROVIDER, "shop", "claude"), (POD, "web", "web-1"), marked=("new",))

    assert made.namespaces() == {"shop", "web"}
    assert made.served() == {"shop", "web", "new"}


def test_the_default_profile_is_one_where_anything_of_ours_is() -> None:
    made = gatherer((PROVIDER, "shop", "claude"), (PROFILE, "web", "team-a"), (PROFILE, "web", "team-b"))

    assert made.profiles("shop") == {""}
    assert made.profiles("web") == {"", "team-a", "team-b"}
    assert made.profiles("plain") == set()


async def test_a_secret_that_an_event_has_overtaken_does_not_come_back() -> None:
    """The key was rotated while it was being asked for; the event was here before the answer."""
    vault = Vault(lambda _namespaces: None, digest_key=b"key")
    kube = ListKube()
    kube.put(SECRET, 5, "keys", data={"key": "b2xk"})
    kube.on_get = lambda: vault.put(secret(6, "bmV3"))
    made = Gatherer(
        store=Store(lambda _change: None),
        vault=vault,
        kube=kube,  # type: ignore[arg-type]
        addresses=AddressRules(),
    )
    unknown = vault.need("shop", [("shop", "keys")])
    await made.fetch(unknown)

    assert vault.values(["shop/keys/key"])["shop/keys/key"].reveal() == "new"


def secret(version: int, value: str) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": "keys", "resourceVersion": str(version)}
    return {"metadata": metadata, "data": {"key": value}}
