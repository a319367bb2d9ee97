"""Spans on their way to a receiver that is away, hangs, refuses or comes back: bounded, counted, told."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_sidecar.core.tracing.otlp import Kind, named, place, resource, span, times
from cliproxy_sidecar.proxy.h1.client import EngineUpstream
from cliproxy_sidecar.proxy.tracing import exporter as module
from cliproxy_sidecar.proxy.tracing.delivery import Delivery
from cliproxy_sidecar.proxy.tracing.exporter import (
    MAX_BATCH,
    MAX_QUEUED,
    MAX_QUEUED_BYTES,
    MAX_TRIES,
    Exporter,
)
from cliproxy_sidecar.runtime.metrics import Metrics
from cliproxy_sidecar.runtime.tasks import Tasks
from support.receivers import Receiver
from support.sidecar import eventually
from support.traces import partial_success, spans_of

AWAY = "http://127.0.0.1:9/v1/traces"
SHORT = Timeouts(connect_s=0.2, first_byte_s=0.2, idle_s=0.2, total_s=0.2)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_S", 0.01)
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)


@asynccontextmanager
async def exporting(url: str) -> AsyncIterator[Exporter]:
    tasks = Tasks()
    exporter = Exporter(
        dial=lambda: EngineUpstream(ConnectionPool(max_connections=2, max_idle_connections=1)),
        about=resource({"service.name": "s"}, scope="cliproxy", version="1"),
        chance=random.Random(1),  # noqa: S311 -- a seeded chance
        metrics=Metrics(),
    )
    exporter._delivery = Delivery(exporter._delivery._dial, SHORT)
    exporter.configure(url, tasks)
    try:
        yield exporter
    finally:
        await exporter.drain(0.5)
        await tasks.stop()


def offered(exporter: Exporter, count: int) -> None:
    for number in range(count):
        if exporter.is_full:
            exporter.dropped()
        else:
            exporter.offer(made(str(number)))


def made(name: str) -> bytes:
    return span([place(b"t" * 16 + b"s" * 8), named(name, Kind.SERVER), times(1, 2)])


def names(receiver: Receiver) -> list[str]:
    return [one.name for one in spans_of(receiver.taken)]


async def test_batches_are_bounded_and_nothing_is_lost() -> None:
    async with Receiver().serving() as receiver, exporting(f"{receiver.url}/v1/traces") as exporter:
        offered(exporter, 3 * MAX_BATCH // 2)
        await receiver.until(lambda: len(names(receiver)) == 3 * MAX_BATCH // 2)
        assert names(receiver) == [str(number) for number in range(3 * MAX_BATCH // 2)]
        assert len(receiver.got) == 2
        await eventually(lambda: exporter.spans.values == {("sent",): 3 * MAX_BATCH // 2})


@pytest.mark.parametrize("answer", [429, 500, 502, 503, 504, "reset", "hang"])
async def test_what_passes_is_tried_again(answer: int | str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with (
        Receiver(answers=[answer, answer]).serving() as receiver,
        exporting(f"{receiver.url}/v1/traces") as exporter,
    ):
        offered(exporter, 1)
        await receiver.until(lambda: names(receiver) == ["0"])
        await eventually(lambda: exporter.spans.values == {("sent",): 1})
        assert exporter.tries.values == {("retried",): 2, ("ok",): 1}
    told = [record.message for record in caplog.records if record.name == module.__name__]
    assert ["cannot be sent" in told[0], "are sent again" in told[1], len(told)] == [True, True, 2]


@pytest.mark.parametrize("answer", [400, 401, 404, 413, 301])
async def test_what_is_refused_for_good_is_not(answer: int) -> None:
    async with (
        Receiver(answers=[answer]).serving() as receiver,
        exporting(f"{receiver.url}/v1/traces") as exporter,
    ):
        offered(exporter, 2)
        await eventually(lambda: exporter.spans.values == {("refused",): 2})
        offered(exporter, 1)
        await receiver.until(lambda: names(receiver) == ["0"])
        assert len(receiver.got) == 2


async def test_a_receivers_own_pause_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAUSE_S", 3600.0)
    async with (
        Receiver(answers=[429], retry_after="1800").serving() as receiver,
        exporting(f"{receiver.url}/v1/traces") as exporter,
    ):
        offered(exporter, 1)
        await eventually(lambda: exporter.tries.values == {("retried",): 1})
        # Another address ends the pause, which was on the first one's account.
        exporter.configure(f"{receiver.url}/elsewhere/v1/traces", Tasks())
        await receiver.until(lambda: names(receiver) == ["0"])
        assert receiver.taken[0].path == "/elsewhere/v1/traces"


async def test_a_receiver_that_is_away_costs_a_bounded_queue(caplog: pytest.LogCaptureFixture) -> None:
    async with exporting(AWAY) as exporter:
        offered(exporter, 3 * MAX_QUEUED)
        assert exporter.is_full
        await eventually(lambda: exporter.spans.values.get(("given_up",), 0) >= MAX_BATCH)
        assert exporter.tries.values["retried",] >= MAX_TRIES - 1
        assert exporter.spans.values["queue_full",] == 2 * MAX_QUEUED
    counted = exporter.spans.values
    assert sum(counted.values()) == 3 * MAX_QUEUED
    assert counted["given_up",] + counted["shutdown",] == MAX_QUEUED
    warned = [record for record in caplog.records if "cannot be sent" in record.message]
    assert len(warned) == 1, "once a minute, however often it fails"


async def test_few_spans_that_are_large_fill_the_queue_as_well() -> None:
    async with exporting(AWAY) as exporter:
        large = made("x" * 100_000)
        while not exporter.is_full:
            exporter.offer(large)
        assert MAX_QUEUED_BYTES <= exporter._bytes < MAX_QUEUED_BYTES + len(large)
        assert len(exporter._queue) < MAX_BATCH


async def test_refused_parts_of_a_batch_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.body = partial_success(1, "span is too old")
    async with receiver.serving(), exporting(f"{receiver.url}/v1/traces") as exporter:
        offered(exporter, 3)
        await eventually(lambda: exporter.spans.values == {("sent",): 2, ("refused",): 1})
    assert "1 of 3 spans: span is too old" in caplog.text


async def test_what_waits_at_the_end_gets_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER_S", 60.0)
    async with Receiver().serving() as receiver:
        async with exporting(f"{receiver.url}/v1/traces") as exporter:
            offered(exporter, 5)
        assert names(receiver) == ["0", "1", "2", "3", "4"]
        assert exporter.spans.values == {("sent",): 5}


async def test_the_end_does_not_wait_for_a_receiver_that_hangs() -> None:
    async with Receiver(answers=["hang"] * 9).serving() as receiver:
        async with exporting(f"{receiver.url}/v1/traces") as exporter:
            exporter._delivery = Delivery(exporter._delivery._dial, Timeouts())
            offered(exporter, 2)
            await receiver.until(lambda: len(receiver.got) == 1)
        assert exporter.spans.values == {("shutdown",): 2}
