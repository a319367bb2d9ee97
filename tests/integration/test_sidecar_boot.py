"""A sidecar that starts while the operator is away serves from the newest copy; what cooled cools on."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path

from cliproxy_api import codec
from cliproxy_api.report import Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Position, SnapshotPush
from cliproxy_api.state import FleetCooldown, FleetState, StatePush
from cliproxy_api.vocabulary import CooldownPhase
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_sidecar.runtime.lastgood import SNAPSHOT, STATE
from support import build
from support.pki import now_utc
from support.sidecar import eventually, running_sidecar


def at(push: SnapshotPush, epoch: int, sequence: int) -> SnapshotPush:
    return SnapshotPush(position=Position(epoch, sequence), snapshot=push.snapshot, secrets=push.secrets)


def cooling() -> StatePush:
    now = now_utc()
    one = FleetCooldown(
        scope=Scope(provider="team-a/gpt"),
        phase=CooldownPhase.COOLING,
        since_utc=now,
        until_utc=now + timedelta(minutes=10),
    )
    return StatePush(position=Position(2, 6), sent_at_utc=now, state=FleetState(cooldowns=(one,)))


async def test_it_restarts_with_what_it_ran(scripted_openai: ScriptedProvider, tmp_path: Path) -> None:
    push = at(build.push(build.built(scripted_openai)), 2, 5)
    async with running_sidecar(push, state_dir=tmp_path) as sidecar:
        await sidecar.push_state(cooling())
        await eventually(lambda: (tmp_path / SNAPSHOT).exists() and (tmp_path / STATE).exists())
    async with running_sidecar(state_dir=tmp_path) as sidecar:
        ready = await sidecar.client.get(f"{sidecar.observe_url}/health/ready")
        assert ready.status_code == 200
        refused = await sidecar.chat()
        assert refused.status_code == 503, "the fleet's cooldown holds"
        assert sidecar.sidecar.snapshots.running.snapshot == Position(2, 5)
        assert (await sidecar.push(at(push, 1, 99))).status == 409, "a deposed leader stays deposed"
        state = StatePush(position=Position(2, 7), sent_at_utc=now_utc(), state=FleetState())
        assert (await sidecar.push_state(state)).status == 200
        assert (await sidecar.chat()).status_code == 200, "the leader's word replaces the kept one"


async def test_a_new_leader_may_not_know_yet_what_was_kept(
    scripted_openai: ScriptedProvider, tmp_path: Path
) -> None:
    push = at(build.push(build.built(scripted_openai)), 2, 5)
    async with running_sidecar(push, state_dir=tmp_path) as sidecar:
        await sidecar.push_state(cooling())
        await eventually(lambda: (tmp_path / SNAPSHOT).exists() and (tmp_path / STATE).exists())
    async with running_sidecar(state_dir=tmp_path) as sidecar, sidecar.reports(epoch=3) as reports:
        state = StatePush(position=Position(3, 1), sent_at_utc=now_utc(), state=FleetState())
        assert (await sidecar.push_state(state)).status == 200
        assert (await sidecar.chat()).status_code == 503, "it cools on"
        await eventually(lambda: [told.scope.provider for told in reports.of(Tripped)] == ["team-a/gpt"])


async def test_the_newer_of_secret_and_disk_is_run(scripted_openai: ScriptedProvider, tmp_path: Path) -> None:
    old = at(build.push(build.built(scripted_openai, models=("old",))), 4, 1)
    new = at(build.push(build.built(scripted_openai, models=("new",))), 4, 2)
    secret = tmp_path / "snapshot.json.gz"
    for on_disk, in_secret in ((old, new), (new, old)):
        folder = tmp_path / f"state-{on_disk.position.sequence}"
        folder.mkdir()
        (folder / SNAPSHOT).write_bytes(gzip.compress(codec.encode(on_disk)))
        secret.write_bytes(gzip.compress(codec.encode(in_secret)))
        async with running_sidecar(state_dir=folder, snapshot_file=secret) as sidecar:
            assert (await sidecar.chat("new")).status_code == 200
            assert (await sidecar.chat("old")).status_code == 404


async def test_a_corrupt_copy_gives_way_to_the_other(
    scripted_openai: ScriptedProvider, tmp_path: Path
) -> None:
    push = at(build.push(build.built(scripted_openai)), 4, 1)
    secret, folder = tmp_path / "secret.gz", tmp_path / "state"
    folder.mkdir()
    secret.write_bytes(gzip.compress(codec.encode(push)))
    for rubbish in (
        b"",
        b"\x1f\x8b\x08",
        gzip.compress(codec.encode(at(push, 9, 9)))[:-20],
        b'{"position":1}',
    ):
        (folder / SNAPSHOT).write_bytes(rubbish)
        (folder / STATE).write_bytes(rubbish)
        async with running_sidecar(state_dir=folder, snapshot_file=secret) as sidecar:
            assert (await sidecar.chat()).status_code == 200
    async with running_sidecar(state_dir=tmp_path / "nowhere") as sidecar:
        ready = await sidecar.client.get(f"{sidecar.observe_url}/health/ready")
        assert ready.status_code == 503
        assert (await sidecar.push(push)).status == 200
        assert (await sidecar.chat()).status_code == 200
