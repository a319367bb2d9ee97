"""What ends works side by side: the first failure, and nothing of it stays with whoever waited."""

import asyncio

import pytest

from cliproxy_operator.tasks import first_failure, happens


async def fail(word: str) -> None:
    raise ValueError(word)


async def last(ended: list[str], word: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(word)


async def test_the_first_failure_ends_the_others_and_is_raised() -> None:
    ended: list[str] = []
    with pytest.raises(ValueError, match=r"^first$"):
        await first_failure(last(ended, "one"), fail("first"), last(ended, "two"))
    assert sorted(ended) == ["one", "two"]


async def test_after_a_failure_a_pause_is_a_pause() -> None:
    """A link's next try comes after one; a request to cancel that is left over would end it instead."""
    waiting = asyncio.current_task()
    assert waiting is not None
    for _ in range(3):
        with pytest.raises(ValueError, match="again"):
            await first_failure(last([], "one"), fail("again"))
        assert waiting.cancelling() == 0
        assert not await happens(asyncio.Event(), 0.0)


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    ended: list[str] = []
    waiting = asyncio.ensure_future(first_failure(last(ended, "one"), last(ended, "two")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert sorted(ended) == ["one", "two"]
