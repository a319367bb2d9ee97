"""Only Secrets that are needed are kept, and their values show nowhere."""

import base64
from typing import Any

import pytest

from cliproxy_operator.vault import MAX_VALUE_BYTES, Vault

KEYS = ("shop", "keys")
REFERENCE = "shop/keys/key"


def secret(version: int = 1, **values: str) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"namespace": "shop", "name": "keys", "resourceVersion": str(version)}
    return {"metadata": metadata, "data": data}


@pytest.fixture
def told() -> list[frozenset[str]]:
    return []


@pytest.fixture
def vault(told: list[frozenset[str]]) -> Vault:
    return Vault(told.append, digest_key=b"k")


def test_a_secret_that_nobody_needs_is_dropped(vault: Vault) -> None:
    vault.put(secret(key="sk-1"))

    assert vault.need("shop", [KEYS]) == {KEYS}
    assert vault.values([REFERENCE]) == {}


def test_a_needed_secret_is_asked_for_once_and_then_followed(
    vault: Vault, told: list[frozenset[str]]
) -> None:
    vault.need("shop", [KEYS])
    vault.put(secret(1, key="sk-1"))

    assert vault.need("shed", [KEYS]) == frozenset()
    vault.put(secret(2, key="sk-2"))

    assert vault.values([REFERENCE])[REFERENCE].reveal() == "sk-2"
    assert told == [{"shop"}, {"shop", "shed"}]


def test_an_unchanged_value_is_no_news(vault: Vault, told: list[frozenset[str]]) -> None:
    vault.need("shop", [KEYS])
    vault.put(secret(1, key="sk-1"))
    vault.put(secret(2, key="sk-1"))
    vault.put(secret(1, key="sk-old"))

    assert len(told) == 1
    assert vault.values([REFERENCE])[REFERENCE].reveal() == "sk-1"


def test_a_missing_secret_is_remembered_as_missing_until_it_appears(vault: Vault) -> None:
    vault.need("shop", [KEYS])
    vault.lost(KEYS, version=-1)

    assert vault.need("shop", [KEYS]) == frozenset()
    assert vault.views([KEYS]) == {KEYS: None}
    vault.put(secret(3, key="sk-1"))
    assert vault.views([KEYS])[KEYS] is not None


def test_a_late_word_of_deletion_does_not_hit_a_newer_secret(vault: Vault) -> None:
    vault.need("shop", [KEYS])
    vault.put(secret(5, key="sk-1"))
    vault.lost(KEYS, version=4)

    assert REFERENCE in vault.values([REFERENCE])


def test_after_a_rewind_an_older_number_counts(vault: Vault) -> None:
    vault.need("shop", [KEYS])
    vault.put(secret(50, key="later"))
    vault.rewind()

    assert vault.put(secret(7, key="restored"))
    assert not vault.put(secret(6, key="older still"))
    assert vault.lost(KEYS, version=8)


def test_values_go_when_the_last_user_goes(vault: Vault) -> None:
    vault.need("shop", [KEYS])
    vault.need("shed", [KEYS])
    vault.put(secret(1, key="sk-1"))

    vault.need("shop", [])
    assert REFERENCE in vault.values([REFERENCE])
    vault.need("shed", [])
    assert vault.values([REFERENCE]) == {}
    assert vault.needed() == frozenset()


def test_digests_tell_values_apart_but_not_what_they_are(vault: Vault) -> None:
    other = Vault(lambda _: None, digest_key=b"other")
    for each in (vault, other):
        each.need("shop", [KEYS])
        each.put(secret(1, key="sk-1", again="sk-1"))
    view, foreign = vault.views([KEYS])[KEYS], other.views([KEYS])[KEYS]
    assert view is not None
    assert foreign is not None

    assert view.digests["key"] != view.digests["again"]
    assert view.digests["key"] != foreign.digests["key"]
    vault.put(secret(2, key="sk-2"))
    newer = vault.views([KEYS])[KEYS]
    assert newer is not None
    assert newer.digests["key"] != view.digests["key"]


def test_values_do_not_show_themselves(vault: Vault) -> None:
    vault.need("shop", [KEYS])
    vault.put(secret(1, key="sk-1"))

    assert "sk-1" not in repr(vault.values([REFERENCE])) + repr(vault.views([KEYS])) + str(vars(vault))


@pytest.mark.parametrize(
    "data", [{"key": "%%%"}, {"key": base64.b64encode(b"\xff").decode()}, {"key": None}, None]
)
def test_unreadable_values_are_left_out(vault: Vault, data: Any) -> None:
    vault.need("shop", [KEYS])
    vault.put({**secret(1), "data": data})

    view = vault.views([KEYS])[KEYS]
    assert view is not None
    assert view.digests == {}


def test_a_value_loses_the_newline_of_the_editor_and_has_a_bound(vault: Vault) -> None:
    vault.need("shop", [KEYS])
    vault.put(secret(1, key="sk-1\n", huge="x" * (MAX_VALUE_BYTES + 1), blank=" \n"))

    view = vault.views([KEYS])[KEYS]
    assert view is not None
    assert view.digests.keys() == {"key"}
    assert vault.values([REFERENCE])[REFERENCE].reveal() == "sk-1"
