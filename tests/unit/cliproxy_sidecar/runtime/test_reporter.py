"""Whom the reporter tells that somebody listens."""

from cliproxy_api.report import Traffic
from cliproxy_sidecar.runtime.reporter import Reporter, Stream


def reporter(attached: list[bool]) -> Reporter:
    return Reporter(standing=tuple, traffic=lambda: Traffic(providers={}), attached=attached.append)


async def ended(stream: Stream) -> bool:
    return [line async for line in stream.lines()] == []


async def test_a_reader_that_takes_over_leaves_no_moment_without_one() -> None:
    attached: list[bool] = []
    telling = reporter(attached)
    former = telling.open()
    telling.open()
    assert await ended(former)
    assert attached == [True, True]
    assert telling.attached


async def test_the_last_reader_to_go_is_noted() -> None:
    attached: list[bool] = []
    telling = reporter(attached)
    former, newest = telling.open(), telling.open()
    telling.closed(former)
    assert telling.attached
    telling.closed(newest)
    telling.closed(newest)
    assert attached == [True, True, False]
