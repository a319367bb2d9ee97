"""The operator's door: pushes are taken whole or refused, reports begin with what stands."""

import asyncio
import json

from cliproxy_api import codec
from cliproxy_api.report import Applied, Heartbeat, Hello, Probed, Traffic, Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import HealthCheck, Position, SnapshotPush
from cliproxy_api.state import StatePush
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_dev.providers.script import Normal
from cliproxy_sidecar.runtime import reporter
from support import build
from support.sidecar import TOKEN, eventually, running_sidecar


def at(push: SnapshotPush, epoch: int, sequence: int) -> SnapshotPush:
    """Return the push at another position."""
    return SnapshotPush(position=Position(epoch, sequence), snapshot=push.snapshot, secrets=push.secrets)


async def test_only_newer_snapshots_are_taken(scripted_openai: ScriptedProvider) -> None:
    old = build.push(build.built(scripted_openai, models=("old",)))
    new = build.push(build.built(scripted_openai, models=("new",)))
    async with running_sidecar(at(old, 2, 5)) as sidecar:
        for epoch, sequence in ((2, 4), (1, 9)):
            refused = await sidecar.push(at(new, epoch, sequence))
            assert (refused.status, refused.running.digest) == (409, old.snapshot.digest)
            assert refused.running.snapshot == Position(2, 5)
            assert "older" in (refused.running.error or "")
        assert (await sidecar.chat("old")).status_code == 200
        taken = await sidecar.push(at(new, 3, 1))
        assert (taken.status, taken.running.digest, taken.running.error) == (200, new.snapshot.digest, None)
        assert (await sidecar.chat("old")).status_code == 404
        assert (await sidecar.chat("new")).status_code == 200
        again = await sidecar.push(at(new, 3, 1))
        assert (again.status, again.running.snapshot) == (200, Position(3, 1))


async def test_a_deposed_leader_is_refused_at_every_door(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(at(build.push(build.built(scripted_openai)), 2, 1)) as sidecar:
        state = build.state_push(position=Position(1, 99))
        assert (await sidecar.push_state(state)).status == 409
        headers = {**sidecar.authority, "x-cliproxy-epoch": "1"}
        url = f"{sidecar.control_url}/v0/control/reports"
        assert (await sidecar.client.get(url, headers=headers)).status_code == 409
        headers["x-cliproxy-epoch"] = "-1"
        assert (await sidecar.client.get(url, headers=headers)).status_code == 400


async def test_a_broken_push_changes_nothing_and_is_told(scripted_openai: ScriptedProvider) -> None:
    good = build.push(build.built(scripted_openai))
    document = json.loads(codec.encode(at(good, 1, 2)))
    unsealed = {**document, "snapshot": {**document["snapshot"], "digest": ""}}
    future = {**document, "snapshot": {**document["snapshot"], "schema_version": 99}}
    broken = (b"", b"{", b"[]", json.dumps(unsealed).encode(), json.dumps(future).encode())
    lacking = json.dumps({**document, "secrets": {}}).encode()
    async with running_sidecar(good) as sidecar, sidecar.reports() as reports:
        for body in (*broken, lacking):
            refused = await sidecar._put("snapshot", body)
            assert (refused.status, refused.running.digest) == (422, good.snapshot.digest)
            assert (refused.running.error or "").startswith("snapshot: ")
        refused = await sidecar._put("state", b'{"state":1}')
        assert refused.status == 422
        applied = await reports.wait_for(Applied)
        assert (applied[-1].running.error or "").startswith(("snapshot: ", "state: "))
        assert (await sidecar.chat()).status_code == 200
        assert (await sidecar.push(at(good, 1, 2))).running.error is None


async def test_a_bad_key_leaves_the_others_in_use(scripted_openai: ScriptedProvider) -> None:
    keys = {"broken": "sk-\nline", "main": "sk-test"}
    async with running_sidecar(build.push(build.built(scripted_openai, keys=keys))) as sidecar:
        assert [(await sidecar.chat()).status_code for _ in range(4)] == [200] * 4
        assert "broken is left out" in sidecar.log_text()


async def test_the_door_is_closed_to_others(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        url = f"{sidecar.control_url}/v0/control"
        for header in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": TOKEN},
            {"authorization": "Bearer"},
        ):
            response = await sidecar.client.put(f"{url}/state", content=b"{}", headers=header)
            assert response.status_code == 401
            assert (await sidecar.client.get(f"{url}/reports", headers=header)).status_code == 401
        samples = await sidecar.metrics()
        assert samples['cliproxy_authentication_failures_total{port="control",reason="stranger"}'] == 8
        authority = sidecar.authority
        assert (await sidecar.client.get(f"{url}/snapshot", headers=authority)).status_code == 405
        assert (await sidecar.client.post(f"{url}/reports", headers=authority)).status_code == 405
        assert (await sidecar.client.get(f"{url}/secrets", headers=authority)).status_code == 404
        huge = b" " * (4 * 1024 * 1024 + 1)
        response = await sidecar.client.put(f"{url}/state", content=huge, headers=authority)
        assert response.status_code == 413


async def test_packed_pushes_are_taken_within_their_bounds(scripted_openai: ScriptedProvider) -> None:
    push = build.push(build.built(scripted_openai))
    async with running_sidecar(push) as sidecar, sidecar.reports() as reports:
        assert (await reports.wait_for(Hello))[0].encodings == (codec.PACKED,)

        async def put(body: bytes, coding: str = codec.PACKED) -> int:
            headers = {**sidecar.authority, "content-encoding": coding}
            url = f"{sidecar.control_url}/v0/control/snapshot"
            return (await sidecar.client.put(url, content=body, headers=headers)).status_code

        assert await put(codec.pack(codec.encode(at(push, 5, 1)))) == 200
        assert sidecar.sidecar.snapshots.running.snapshot == Position(5, 1)
        assert await put(codec.pack(b"{}")) == 422
        assert await put(codec.encode(at(push, 5, 2))) == 400
        assert await put(codec.pack(codec.encode(at(push, 5, 2))), "gzip") == 415
        assert await put(codec.pack(b" " * (16 * 1024 * 1024 + 1))) == 413
        assert sidecar.sidecar.snapshots.running.snapshot == Position(5, 1)


async def test_requests_in_flight_finish_on_the_snapshot_they_began_with(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.always(Normal(latency_s=0.2))
    async with ScriptedProvider(kind="openai", name="later") as later:
        old = build.built(scripted_openai, models={"gpt": "old-model"})
        new = build.built(later, name="gpt", models={"gpt": "new-model"})
        async with running_sidecar(build.push(old)) as sidecar:
            early = [asyncio.ensure_future(sidecar.chat("gpt")) for _ in range(5)]
            await scripted_openai.wait_for_requests(5)
            await sidecar.push_next(build.push(new))
            late = await sidecar.chat("gpt")
            answers = await asyncio.gather(*early)
            assert [answer.headers["x-cliproxy-model"] for answer in answers] == ["old-model"] * 5
            assert late.headers["x-cliproxy-model"] == "new-model"
            assert len(later.requests) == 1


async def test_connections_of_a_provider_that_is_gone_are_closed(scripted_openai: ScriptedProvider) -> None:
    async with (
        ScriptedProvider(kind="openai", name="other") as other,
        running_sidecar(build.push(build.built(scripted_openai))) as sidecar,
    ):
        assert (await sidecar.chat()).status_code == 200
        assert scripted_openai.connections == 1
        await sidecar.push_next(build.push(build.built(other)))
        await eventually(lambda: scripted_openai.connections == 0, what="the closed connection")
        assert (await sidecar.chat()).status_code == 200


async def test_a_stream_begins_with_what_stands(scripted_openai: ScriptedProvider) -> None:
    scripted_openai.script(scripted_openai.preset("openai.rate_limit", retry_after_s=60))
    push = build.push(build.built(scripted_openai))
    async with running_sidecar(push) as sidecar:
        await sidecar.chat()
        async with sidecar.reports() as reports:
            (traffic,) = await reports.wait_for(Traffic)
            hello, tripped = reports.seen[:2]
            assert isinstance(hello, Hello)
            assert (hello.sidecar, hello.namespace) == ("sidecar-1", "team-a")
            assert hello.running.digest == push.snapshot.digest
            assert isinstance(tripped, Tripped)
            assert 50 < tripped.remaining_s <= 60
            figures = traffic.providers["team-a/gpt"]
            assert (figures.requests, figures.errors) == (1, 1)


async def test_a_leader_of_a_newer_epoch_hears_again_what_the_last_one_knew(
    scripted_openai: ScriptedProvider,
) -> None:
    scripted_openai.script(scripted_openai.preset("openai.rate_limit", retry_after_s=60))
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        async with sidecar.reports(epoch=1) as first:
            await sidecar.chat()
            (tripped,) = await first.wait_for(Tripped)
            told = build.cooling(tripped.scope, lasts_s=61, sidecar="sidecar-1")
            await sidecar.push_next(build.state_push(told))
        async with sidecar.reports(epoch=1) as same:
            await same.wait_for(Traffic)
            assert same.of(Tripped) == [], "it has acknowledged it"
        async with sidecar.reports(epoch=2) as next_one:
            (again,) = await next_one.wait_for(Tripped)
            assert again.scope == tripped.scope
            assert 50 < again.remaining_s <= 61
            await sidecar.push_state(build.state_push(position=Position(2, 1)))
            assert sidecar.sidecar.machines.active(), "its first document knew nothing of it"


async def test_traffic_is_told_when_it_changes_and_a_heartbeat_when_not(
    scripted_openai: ScriptedProvider,
) -> None:
    async with (
        running_sidecar(build.push(build.built(scripted_openai))) as sidecar,
        sidecar.reports() as reports,
    ):
        await reports.wait_for(Traffic)
        await sidecar.chat()
        (_, told) = await reports.wait_for(Traffic, 2)
        assert told.providers["team-a/gpt"].requests == 1
        assert told.providers["team-a/gpt"].tokens > 0
        assert told.providers["team-a/gpt"].remaining_requests == 9999
        await reports.wait_for(Heartbeat)
        assert len(reports.of(Traffic)) == 2


async def test_a_new_reader_replaces_the_old_one(scripted_openai: ScriptedProvider) -> None:
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        async with sidecar.reports() as first:
            await first.wait_for(Hello)
            async with sidecar.reports(epoch=2) as second:
                await second.wait_for(Hello)
                await eventually(lambda: first.ended, what="the end of the first stream")
                await sidecar.push(at(build.push(build.built(scripted_openai)), 2, 7))
                await second.wait_for(Applied)
                assert first.of(Applied) == []
        await eventually(lambda: not sidecar.sidecar.reporter.attached, what="the detached link")
        assert (await sidecar.metrics())["cliproxy_operator_attached"] == 0


async def test_a_reader_that_falls_behind_is_cut_off_and_hears_what_stands(
    scripted_openai: ScriptedProvider,
) -> None:
    scope = Scope(provider="team-a/gpt")
    async with running_sidecar(build.push(build.built(scripted_openai))) as sidecar:
        async with sidecar.reports() as reports:
            await reports.wait_for(Hello)
            news = Tripped(scope=scope, outcome_class=None, reason="x", remaining_s=1.0)
            sidecar.sidecar.reporter.tell([news] * (reporter.MAX_QUEUED_REPORTS + 1))
            await eventually(lambda: reports.ended, what="the end of the stream")
            assert sidecar.sidecar.reporter.overflows == 1
        async with sidecar.reports() as again:
            await again.wait_for(Hello)


async def test_probes_are_made_where_they_are_assigned(scripted_openai: ScriptedProvider) -> None:
    check = HealthCheck(interval_s=0.05, timeout_s=1.0, unhealthy_threshold=2, healthy_threshold=1)
    parts = build.built(scripted_openai, health_check=check)

    def duty(sidecar: str) -> StatePush:
        return build.state_push(probes={"team-a/gpt": sidecar})

    async with running_sidecar(build.push(parts)) as sidecar:
        await scripted_openai.wait_for_requests(2)
        probe = scripted_openai.requests[0]
        assert (probe.method, probe.path, probe.credential) == ("GET", "/v1/models", "main")
        async with sidecar.reports() as reports:
            assert (await reports.wait_for(Probed))[0].ok
            await sidecar.push_next(duty("another"))
            count = len(reports.of(Probed))
            await sidecar.push_next(duty("sidecar-1"))
            await reports.wait_for(Probed, count + 2)
            await scripted_openai.down()
            await eventually(lambda: not reports.of(Probed)[-1].healthy, what="the bad verdict")
            failed = reports.of(Probed)[-1]
            assert (failed.ok, failed.provider) == (False, "team-a/gpt")
            assert failed.error.startswith("connect: ")
            assert (await sidecar.chat()).status_code == 503
            view = (await sidecar.get("/v0/operations/providers/status")).json()["providers"]["gpt"]
            assert view["status"] == "unhealthy"
            assert view["last_check"] > view["last_success"]
            assert (await sidecar.metrics())['cliproxy_provider_health{provider="gpt"}'] == 0
            await scripted_openai.up()
            await eventually(lambda: reports.of(Probed)[-1].healthy, what="the good verdict")
            assert (await sidecar.chat()).status_code == 200
