"""The shared second level, against a real redis-server: shared, bounded, encrypted, and never in the way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.reuse import Cache, Redis
from cliproxy_api.snapshot import Profile, SnapshotPush
from cliproxy_dev.debianprogram import Program
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.redisserver.run import RunningRedis
from cliproxy_sidecar.core.cache.entry import Entry, from_wire, to_wire
from cliproxy_sidecar.core.cache.resp import command
from cliproxy_sidecar.core.cache.store import Store
from cliproxy_sidecar.proxy.reuse import redislink
from cliproxy_sidecar.proxy.reuse.redislink import RedisAddress, RedisLink
from cliproxy_sidecar.runtime.tasks import Tasks
from support import build
from support.rawserver import Peer, RawServer, trusting_context
from support.redis import TLS
from support.sidecar import RunningSidecar, eventually, running_sidecar

PASSWORD = "correct-horse"
REFERENCE = "team-a/redis/password"


def push(scripted: ScriptedProvider, port: int, *, password: str = "", name: str = "gold") -> SnapshotPush:
    reference = REFERENCE if password else ""
    redis = Redis(url=f"redis://127.0.0.1:{port}/3", password=reference, password_digest=password)
    profile = Profile(name=name, cache=Cache(ttl_s=60, redis=redis))
    made = build.push(build.built(scripted), profile=profile)
    secrets = {**made.secrets, **({REFERENCE: password} if password else {})}
    return SnapshotPush(position=made.position, snapshot=made.snapshot, secrets=secrets)


@contextlib.asynccontextmanager
async def sidecar_with(made: SnapshotPush, name: str = "sidecar-1") -> AsyncIterator[RunningSidecar]:
    async with running_sidecar(made, name=name) as sidecar:
        await eventually(lambda: connected(sidecar), what="connecting to Redis")
        yield sidecar


def connected(sidecar: RunningSidecar) -> bool:
    far = sidecar.sidecar.shelf.far
    return far is not None and far.connected


async def raw(port: int, *parts: bytes, password: str = "") -> bytes:
    """Ask Redis on a connection of its own; one reply of at most 64 KiB."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if password:
            writer.write(command(b"AUTH", password.encode()))
            assert await reader.readline() == b"+OK\r\n"
        writer.write(command(b"SELECT", b"3"))
        assert await reader.readline() == b"+OK\r\n"
        writer.write(command(*parts))
        return await reader.read(65536)
    finally:
        writer.close()


@pytest.fixture
async def redis(redis_server: Program, tmp_path: Path) -> AsyncIterator[RunningRedis]:
    async with RunningRedis(redis_server, tmp_path) as running:
        yield running


async def keys(port: int, count: int) -> bytes:
    """Return all keys once there are so many."""
    seen = b""
    async with asyncio.timeout(10):
        while seen.count(b"cliproxy:") < count:
            seen = await raw(port, b"KEYS", b"*")
    return seen


async def test_sidecars_share_answers(redis: RunningRedis, scripted_openai: ScriptedProvider) -> None:
    made = push(scripted_openai, redis.port)
    async with sidecar_with(made, "one") as one, sidecar_with(made, "two") as two:
        first = await one.chat(stream=True)
        assert b"cliproxy:1:team-a/gold:" in await keys(redis.port, 1)
        again = await two.chat(stream=True)
        third = await two.chat(stream=True)
        metrics = await two.metrics()
        stats = (await two.get("/v0/operations/cache/stats")).json()["cache"]
        ttl = await raw(redis.port, b"PTTL", (await keys(redis.port, 1)).split(b"\r\n")[2])
    assert [answer.headers["x-cliproxy-cache"] for answer in (first, again, third)] == ["miss", "hit", "hit"]
    assert again.content == third.content == first.content
    assert scripted_openai.recorder.total == 1
    assert metrics['cliproxy_cache_hits_total{level="redis"}'] == 1
    assert metrics['cliproxy_cache_hits_total{level="local"}'] == 1
    assert metrics["cliproxy_cache_redis_connected"] == 1
    assert (stats["hits"], stats["hit_ratio"]) == ({"local": 1, "redis": 1}, 1.0)
    assert (stats["redis"]["connected"], stats["redis"]["errors"]) == (True, 0)
    assert 0 < int(ttl.strip()[1:]) <= 60_000


async def test_profiles_do_not_share(redis: RunningRedis, scripted_openai: ScriptedProvider) -> None:
    async with (
        sidecar_with(push(scripted_openai, redis.port)) as one,
        sidecar_with(push(scripted_openai, redis.port, name="silver")) as two,
    ):
        await one.chat()
        await keys(redis.port, 1)
        assert (await two.chat()).headers["x-cliproxy-cache"] == "miss"
        assert (await keys(redis.port, 2)).count(b"team-a/silver:") == 1


async def test_a_password_is_shown_to_the_server_and_to_nobody_else(
    redis_server: Program, tmp_path: Path, scripted_openai: ScriptedProvider
) -> None:
    async with RunningRedis(redis_server, tmp_path, password=PASSWORD) as redis:
        made = push(scripted_openai, redis.port, password=PASSWORD)
        async with sidecar_with(made, "one") as one, sidecar_with(made, "two") as two:
            await one.chat()
            async with asyncio.timeout(10):
                while b"*1" not in await raw(redis.port, b"KEYS", b"*", password=PASSWORD):
                    pass
            assert (await two.chat()).headers["x-cliproxy-cache"] == "hit"
        async with running_sidecar(push(scripted_openai, redis.port, password="wrong-horse")) as sidecar:
            far = sidecar.sidecar.shelf.far
            assert far is not None
            await eventually(lambda: far.errors > 0)
            assert (await sidecar.chat()).status_code == 200
            stats = (await sidecar.get("/v0/operations/cache/stats")).text
            assert "WRONGPASS" in stats
            assert "wrong-horse" not in stats + sidecar.log_text() + repr(far.address)
            # A rotated password is taken up without a restart.
            await sidecar.push_next(push(scripted_openai, redis.port, password=PASSWORD))
            await eventually(lambda: connected(sidecar))


async def test_a_hanging_redis_is_given_up_and_taken_up_again(
    redis: RunningRedis, scripted_openai: ScriptedProvider
) -> None:
    async with sidecar_with(push(scripted_openai, redis.port)) as sidecar:
        far = sidecar.sidecar.shelf.far
        assert far is not None
        redis.pause()
        for number in range(redislink.MAX_LATE + 2):
            assert (await sidecar.chat(seed=number)).headers["x-cliproxy-cache"] == "miss"
        assert far.late == redislink.MAX_LATE  # the later ones did not even ask
        assert far.skipped >= 2
        assert not far.connected
        assert "answers in a row" in sidecar.log_text()
        redis.resume()
        await eventually(lambda: far.connected)
        assert "again" in sidecar.log_text()
        await sidecar.chat(seed=100)
        assert b"cliproxy:1:" in await keys(redis.port, 1)


async def test_a_redis_that_dies_and_comes_back(
    redis: RunningRedis, scripted_openai: ScriptedProvider
) -> None:
    async with sidecar_with(push(scripted_openai, redis.port)) as sidecar:
        await redis.stop()
        await eventually(lambda: not connected(sidecar))
        assert (await sidecar.chat()).status_code == 200
        assert (await sidecar.chat()).headers["x-cliproxy-cache"] == "hit"
        await redis.start()
        await eventually(lambda: connected(sidecar), within_s=30)


async def test_a_full_or_strange_redis_is_a_miss(
    redis_server: Program, tmp_path: Path, scripted_openai: ScriptedProvider
) -> None:
    full = ["--maxmemory", "1", "--maxmemory-policy", "noeviction"]
    async with (
        RunningRedis(redis_server, tmp_path, options=full) as redis,
        sidecar_with(push(scripted_openai, redis.port)) as sidecar,
    ):
        far = sidecar.sidecar.shelf.far
        assert far is not None
        assert (await sidecar.chat()).status_code == 200
        await eventually(lambda: far.errors == 1)
        assert "OOM" in str(far.last_error)
        assert far.connected


async def test_what_stands_there_is_not_trusted(
    redis: RunningRedis, scripted_openai: ScriptedProvider
) -> None:
    made = push(scripted_openai, redis.port)
    async with sidecar_with(made, "one") as one, sidecar_with(made, "two") as two:
        await one.chat()
        name = (await keys(redis.port, 1)).split(b"\r\n")[2]
        for strange in (b"", b"garbage", to_wire(Entry((), b"{}", "x", 0.0))):  # the last is too old
            assert await raw(redis.port, b"SET", name, strange) == b"+OK\r\n"
            assert (await two.chat()).headers["x-cliproxy-cache"] == "miss"
            two.sidecar.shelf.store = Store(Cache(ttl_s=60))
        await raw(redis.port, b"DEL", name)
        await raw(redis.port, b"LPUSH", name, b"x")
        assert (await two.chat()).headers["x-cliproxy-cache"] == "miss"


async def test_a_turned_off_cache_lets_go_of_redis(
    redis: RunningRedis, scripted_openai: ScriptedProvider
) -> None:
    async with sidecar_with(push(scripted_openai, redis.port)) as sidecar:
        far = sidecar.sidecar.shelf.far
        assert far is not None
        await sidecar.push_next(build.push(build.built(scripted_openai)))
        assert sidecar.sidecar.shelf.far is None
        await eventually(lambda: not far.connected)


# ---------------------------------------------------------------------------- the link alone
@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    running = Tasks()
    yield running
    await running.stop()
    assert running.failures == 0


@pytest.mark.parametrize("certificate", ["good", "other"])
async def test_tls_is_verified(certificate: str, redis_server: Program, tmp_path: Path, tasks: Tasks) -> None:
    async with RunningRedis(redis_server, tmp_path, tls=TLS / f"{certificate}.pem") as redis:
        address = RedisAddress.of(f"rediss://127.0.0.1:{redis.port}", "")

        link = RedisLink(address, tasks, context=trusting_context)
        if certificate == "good":
            await eventually(lambda: link.connected)
            link.put(b"k", b"v", 10)
            assert await link.get(b"k") == b"v"
            assert await link.get(b"none") is None
        else:
            await eventually(lambda: link.errors > 0)
            assert not link.connected
            assert "certificate" in str(link.last_error).lower()


async def test_nobody_waits_for_a_connection(tasks: Tasks) -> None:
    silent = asyncio.Event()

    async def swallow(peer: Peer) -> None:
        silent.set()
        await peer.gone()

    async with RawServer(swallow) as server:
        link = RedisLink(RedisAddress.of(f"redis://127.0.0.1:{server.port}", ""), tasks)
        await silent.wait()
        assert await link.get(b"k") is None
        link.put(b"k", b"v", 1)
        assert (link.skipped, link.late, link.connected) == (2, 0, False)
        link.close()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$999999999\r\n",
        b"*2\r\n+a\r\n+b\r\n",
        b"+PONG\r\n$-1\r\n",
        b"-ERR no\r\n",
    ],
)
async def test_a_server_that_talks_nonsense_is_left(said: bytes, tasks: Tasks) -> None:
    async def nonsense(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.send(said)
        await peer.gone()

    async with RawServer(nonsense) as server:
        link = RedisLink(RedisAddress.of(f"redis://127.0.0.1:{server.port}", ""), tasks)
        await eventually(lambda: link.errors > 0)
        assert not link.connected
        link.close()
        await server.settled()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://redis", "redis://redis:6379/0"),
        ("rediss://redis.cache.svc:6380/12", "rediss://redis.cache.svc:6380/12"),
        ("redis://[::1]:7000/", "redis://::1:7000/0"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    address = RedisAddress.of(url, "secret-word")
    assert repr(address) == shown
    assert "secret-word" not in f"{address!r} {address}"


async def test_the_wire_form_is_what_is_kept(redis: RunningRedis, scripted_openai: ScriptedProvider) -> None:
    async with sidecar_with(push(scripted_openai, redis.port)) as sidecar:
        answer: Any = await sidecar.chat()
        name = (await keys(redis.port, 1)).split(b"\r\n")[2]
        reply = await raw(redis.port, b"GET", name)
    head, _, value = reply.partition(b"\r\n")
    entry = from_wire(value[: int(head[1:])])
    assert entry is not None
    assert (entry.body, entry.provider) == (answer.content, "gpt")
