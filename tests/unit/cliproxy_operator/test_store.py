"""The store never goes back in time, whatever the order in which lists and events come."""

from typing import Any

import pytest

from cliproxy_operator.kinds import NAMESPACE, POD, PROVIDER
from cliproxy_operator.store import Change, Store


def provider(version: int, *, name: str = "claude", uid: str = "u1", **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": spec}


@pytest.fixture
def changes() -> list[Change]:
    return []


@pytest.fixture
def store(changes: list[Change]) -> Store:
    return Store(changes.append)


def version(store: Store) -> str | None:
    held = store.get(PROVIDER, "shop", "claude")
    return held["metadata"]["resourceVersion"] if held is not None else None


def test_a_newer_version_replaces_an_older_one(store: Store, changes: list[Change]) -> None:
    store.upsert(PROVIDER, provider(5))
    store.upsert(PROVIDER, provider(9))

    assert version(store) == "9"
    assert [(change.old is None, change.new is None) for change in changes] == [(True, False), (False, False)]


@pytest.mark.parametrize("late", [5, 4])
def test_an_older_or_equal_version_changes_nothing(store: Store, changes: list[Change], late: int) -> None:
    store.upsert(PROVIDER, provider(5))

    assert store.upsert(PROVIDER, provider(late)) is None
    assert len(changes) == 1


def test_versions_are_numbers_not_texts(store: Store) -> None:
    store.upsert(PROVIDER, provider(9))
    store.upsert(PROVIDER, provider(10))

    assert version(store) == "10"


def test_a_list_from_before_a_deletion_does_not_bring_the_object_back(store: Store) -> None:
    store.upsert(PROVIDER, provider(5))
    store.remove(PROVIDER, "shop", "claude", version=8)

    assert store.upsert(PROVIDER, provider(7)) is None
    assert version(store) is None


def test_an_object_made_anew_after_its_deletion_is_taken(store: Store) -> None:
    store.upsert(PROVIDER, provider(5))
    store.remove(PROVIDER, "shop", "claude", version=8)
    store.upsert(PROVIDER, provider(9, uid="u2"))

    assert version(store) == "9"


def test_a_late_deletion_does_not_hit_the_object_made_anew(store: Store) -> None:
    store.upsert(PROVIDER, provider(9, uid="u2"))

    assert store.remove(PROVIDER, "shop", "claude", version=8) is None
    assert version(store) == "9"


def test_a_deletion_of_what_is_not_known_is_remembered(store: Store, changes: list[Change]) -> None:
    store.remove(PROVIDER, "shop", "claude", version=8)

    assert store.upsert(PROVIDER, provider(7)) is None
    assert changes == []


def test_an_object_read_one_by_one_holds_even_if_versions_went_back(store: Store) -> None:
    store.upsert(PROVIDER, provider(900))
    store.upsert(PROVIDER, provider(12), force=True)

    assert version(store) == "12"


def test_objects_are_given_out_in_order_by_namespace(store: Store) -> None:
    for name in ("b", "c", "a"):
        store.upsert(PROVIDER, provider(1, name=name))

    assert [raw["metadata"]["name"] for raw in store.all(PROVIDER, "shop")] == ["a", "b", "c"]
    assert list(store.all(PROVIDER, "shed")) == []


def test_what_is_never_read_is_not_kept(store: Store) -> None:
    metadata = {"name": "app-1", "namespace": "shop", "resourceVersion": "1", "managedFields": [{}]}
    ready = {"type": "Ready", "status": "True"}
    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Other"}, ready]}
    store.upsert(POD, {"metadata": metadata, "spec": {"containers": []}, "status": status})
    store.upsert(NAMESPACE, {"metadata": {"name": "shop", "resourceVersion": "1"}, "spec": {}, "status": {}})

    pod = store.get(POD, "shop", "app-1")
    assert pod is not None
    assert pod["status"] == {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]}
    assert "spec" not in pod
    assert "managedFields" not in pod["metadata"]
    assert store.get(NAMESPACE, "", "shop") == {"metadata": {"name": "shop", "resourceVersion": "1"}}


def test_after_a_rewind_whatever_comes_is_newer_once(store: Store) -> None:
    store.upsert(PROVIDER, provider(50))
    store.upsert(PROVIDER, provider(60, name="gone"))
    store.remove(PROVIDER, "shop", "gone", version=61)
    store.rewind()

    assert store.upsert(PROVIDER, provider(7)) is not None
    assert store.upsert(PROVIDER, provider(6)) is None, "from then on versions count again"
    assert store.upsert(PROVIDER, provider(8, name="gone")) is not None


def test_after_a_rewind_a_deletion_of_an_old_number_holds(store: Store) -> None:
    store.upsert(PROVIDER, provider(50))
    store.rewind()

    assert store.remove(PROVIDER, "shop", "claude", version=9) is not None
    assert version(store) is None
    assert store.upsert(PROVIDER, provider(8)) is None
