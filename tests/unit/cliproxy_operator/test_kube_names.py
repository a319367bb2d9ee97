"""What cannot be a name is asked of nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cliproxy_operator.kinds import SECRET
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.kubeconfig import Access
from cliproxy_operator.metrics import Metrics

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
async def kube() -> AsyncIterator[Kube]:
    made = Kube(Access(server=NOBODY), Metrics())
    yield made
    await made.close()


async def test_an_object_that_cannot_be_is_not_there(kube: Kube) -> None:
    assert await kube.get(SECRET, "../secrets?x=", "n") is None
    assert await kube.get(SECRET, "shop", "..") is None
    assert await kube.get(SECRET, "shop", "") is None, "the collection is no object"
    assert await kube.delete(SECRET, "shop", "") is False
    with pytest.raises(ApiError) as caught:
        await kube.get(SECRET, "shop", "keys")
    assert caught.value.status == 0, "a name that can be is asked for"


async def test_it_is_neither_listed_nor_written(kube: Kube) -> None:
    for call in (
        kube.list(SECRET, "a/b"),
        kube.apply(SECRET, "shop", "Upper", {}, manager="m"),
        kube.patch_json(SECRET, "shop", "a?b", []),
    ):
        with pytest.raises(ApiError, match="is no name that") as caught:
            await call
        assert not caught.value.passing, "trying again does not help"
