"""`connections` and `cache/stats`: what people see agrees with what there is."""

import asyncio

from cliproxy_api.report import Traffic
from cliproxy_api.reuse import Cache
from cliproxy_api.snapshot import ConnectionPool, Profile
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Hang
from support import build
from support.sidecar import HOST, eventually, running_sidecar


async def test_connections_are_counted_where_they_are(scripted_openai: ScriptedProvider) -> None:
    pool = ConnectionPool(max_connections=7, max_idle_connections=3)
    part = build.built(scripted_openai, pool=pool)
    async with running_sidecar(build.push(part)) as sidecar:

        async def seen() -> dict[str, object]:
            whole: dict[str, object] = (await sidecar.get("/v0/operations/connections")).json()
            return whole

        before = await seen()
        assert before["connections"]["gpt"]["open"] == 0  # type: ignore[index]
        await sidecar.chat()
        idle = await seen()
        _, writer = await asyncio.open_connection(HOST, sidecar.proxy_port)
        scripted_openai.script(Hang())
        hanging = asyncio.ensure_future(sidecar.chat())
        await scripted_openai.wait_for_requests(2)
        busy = await seen()
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)
        writer.close()

    assert idle["connections"] == {
        "gpt": {
            "max_connections": 7,
            "max_idle_connections": 3,
            "idle_timeout_seconds": 90.0,
            **(one := {"open": 1, "idle": 1, "in_use": 0, "connecting": 0, "waiting": 0}),
            "origins": {f"http://127.0.0.1:{scripted_openai.port}": one},
        }
    }
    assert (busy["active_requests"], busy["waiting_requests"]) == (1, 0)
    assert busy["connections"]["gpt"]["in_use"] == 1  # type: ignore[index]
    assert busy["callers"]["open"] >= idle["callers"]["open"] + 2  # type: ignore[index]


async def test_cache_stats_say_what_is_kept_and_found(scripted_openai: ScriptedProvider) -> None:
    part = build.built(scripted_openai)
    profile = Profile(name="gold", cache=Cache(size=1, ttl_s=60), coalescing=True)
    async with running_sidecar(build.push(part, profile=profile)) as sidecar:
        for prompt in ("a", "a", "b"):
            await sidecar.chat(prompt=prompt)
        stats = (await sidecar.get("/v0/operations/cache/stats")).json()
    assert stats["cache"].pop("bytes") > 1000
    assert stats["cache"] == {
        "enabled": True,
        "entries": 1,
        "max_entries": 1,
        "max_bytes": 32 * 1024 * 1024,
        "ttl_seconds": 60.0,
        "hits": {"local": 1},
        "misses": {"local": 2},
        "hit_ratio": 0.3333,
        "evictions": {"size": 1, "bytes": 0, "expired": 0},
        "redis": None,
    }
    assert stats["coalescing"] == {"enabled": True, "in_flight": 0, "callers_in_flight": 0, "shared": 0}


async def test_without_a_cache_the_stats_say_so(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar() as sidecar:
        stats = (await sidecar.get("/v0/operations/cache/stats")).json()
        assert (stats["cache"]["enabled"], stats["cache"]["hit_ratio"]) == (False, None)
        await sidecar.push_next(build.push(build.built(scripted_openai)))
        await eventually(lambda: sidecar.sidecar.proxy.plan is not None)
        assert (await sidecar.get("/v0/operations/cache/stats")).json()["coalescing"]["enabled"] is False


async def test_the_operator_hears_of_it(scripted_openai: ScriptedProvider) -> None:
    profile = Profile(name="gold", cache=Cache())
    push = build.push(build.built(scripted_openai), profile=profile)
    async with running_sidecar(push) as sidecar, sidecar.reports() as reports:
        await sidecar.chat()
        await sidecar.chat()
        told = lambda: [report.reused for report in reports.of(Traffic) if report.reused is not None]  # noqa: E731
        await eventually(lambda: told() and told()[-1].hits == 1)
        assert (told()[-1].misses, told()[-1].entries, told()[-1].redis_hits) == (1, 1, 0)
        await sidecar.push_next(build.push(build.built(scripted_openai)))
        await eventually(lambda: reports.of(Traffic)[-1].reused is None)
