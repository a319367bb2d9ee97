"""Links over loopback: newest wins, state first, and whatever a sidecar does wrong stays its own trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from cliproxy_api import codec
from cliproxy_api.report import Heartbeat
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Credential, Model, Position, Provider, Running, Snapshot
from cliproxy_api.state import FleetCooldown, FleetState
from cliproxy_api.vocabulary import CooldownPhase, ProviderType
from cliproxy_operator import link, publish
from cliproxy_operator.clock import Clock
from cliproxy_operator.documents import Sequencer, SnapshotDocument, StateDocument
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.publish import Endpoint, Publisher
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.transport import PlainTransport
from cliproxy_operator.view import SidecarId
from support.cluster import eventually
from support.ears import Ears
from support.fakesidecar import TOKEN, FakeSidecar, fresh_address
from support.manualclock import ManualClock

SHOP = SidecarId("shop", "app-1")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def snapshot(key: str = "d1") -> Snapshot:
    provider = Provider(
        id="shop/claude",
        name="claude",
        type=ProviderType.ANTHROPIC,
        base_url="https://api.anthropic.com",
        credentials=(Credential(name="main", secret="shop/keys/key", secret_digest=key),),
        models=(Model(name="m", upstream_name="m"),),
    )
    return codec.seal(Snapshot(namespace="shop", providers=(provider,)))


def cooling(level: int = 0) -> FleetState:
    scope = Scope(provider="shop/claude")
    cooldown = FleetCooldown(
        scope=scope, phase=CooldownPhase.COOLING, since_utc=NOON, until_utc=NOON, level=level
    )
    return FleetState(cooldowns=(cooldown,))


class Desk:
    """A publisher with ears."""

    def __init__(self, port: int, tasks: Tasks, *, token: str = TOKEN, idle_timeout_s: float = 20) -> None:
        self.ears = Ears()
        self.metrics = Metrics()
        self.transport = PlainTransport(token=Hidden(token), port=port, idle_timeout_s=idle_timeout_s)
        self.publisher = Publisher(transport=self.transport, clock=Clock(), metrics=self.metrics, tasks=tasks)
        self.publisher.listen(self.ears)

    def link(self, sidecar: SidecarId = SHOP, address: str = "127.0.0.1") -> None:
        self.publisher.set_endpoint(sidecar, Endpoint(sidecar, "uid", address, ""))

    def snapshot(self, key: str = "d1") -> str:
        made = snapshot(key)
        self.publisher.publish_snapshots("shop", {"": made}, {"shop/keys/key": Hidden("sk-planted")})
        return made.digest

    def state(self, level: int = 0) -> None:
        self.publisher.publish_state("shop", cooling(level))

    async def until(self, seen: Callable[[], object], what: str = "") -> None:
        async def look() -> bool:
            return bool(seen())

        await eventually(look, what=what, every_s=0.005)


@asynccontextmanager
async def desk(port: int, *, token: str = TOKEN, idle_timeout_s: float = 20) -> AsyncIterator[Desk]:
    tasks = Tasks()
    made = Desk(port, tasks, token=token, idle_timeout_s=idle_timeout_s)
    try:
        yield made
    finally:
        await tasks.stop()
        await made.transport.close()


@pytest.fixture
def fake() -> FakeSidecar:
    return FakeSidecar("app-1")


async def test_state_goes_before_configuration(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        digest = made.snapshot()
        made.state()
        made.link()
        await fake.until(lambda: fake.snapshot)

        assert fake.order == ["state", "snapshot"]
        assert fake.running.digest == digest
        assert fake.snapshot is not None
        assert fake.snapshot.secrets == {"shop/keys/key": "sk-planted"}


@pytest.mark.parametrize(
    ("encodings", "coded"), [((), ""), (("br",), ""), ((codec.PACKED, "br"), codec.PACKED)]
)
async def test_large_documents_are_packed_for_those_who_take_them_so(
    fake: FakeSidecar, encodings: tuple[str, ...], coded: str
) -> None:
    fake.encodings = encodings
    cooldowns = tuple(
        FleetCooldown(
            scope=Scope(provider=f"shop/p{number}"),
            phase=CooldownPhase.COOLING,
            since_utc=NOON,
            until_utc=NOON,
        )
        for number in range(50)
    )
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.link()
        made.publisher.publish_state("shop", FleetState(cooldowns=cooldowns))
        await fake.until(lambda: fake.state)
        made.state()
        await fake.until(lambda: len(fake.states) == 2)

        assert fake.states[0].state.cooldowns == cooldowns
        assert fake.coded == [coded, ""]


async def test_a_sidecar_that_runs_it_already_is_left_alone(fake: FakeSidecar) -> None:
    fake.running = Running(digest=snapshot().digest)
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.snapshot()
        made.state()
        made.link()
        await fake.until(lambda: fake.state)
        made.state(level=1)
        await fake.until(lambda: len(fake.states) == 2)

        assert fake.snapshots == []


async def test_a_defect_of_ours_costs_a_new_link_and_no_more(
    fake: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake.serving() as port, desk(port) as made:
        heard = made.ears.heard

        def fail_once(*told: Any) -> None:
            monkeypatch.setattr(made.ears, "heard", heard)
            raise ZeroDivisionError

        monkeypatch.setattr(made.ears, "heard", fail_once)
        made.publisher.activate(1)
        made.snapshot()
        made.state()
        made.link()
        await fake.until(lambda: fake.snapshot)
        await made.until(lambda: len(made.ears.hellos) == 2, "a second link")
        made.state(level=1)
        await fake.until(lambda: fake.state and fake.state.state == cooling(1))

        assert any("ZeroDivisionError" in reason for reason in made.ears.losses)


async def test_equal_content_is_pushed_once(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.link()
        for _ in range(5):
            made.snapshot("d1")
            made.state()
        await fake.until(lambda: fake.snapshot and fake.state)
        made.state(level=1)
        await fake.until(lambda: len(fake.states) == 2)

        assert len(fake.snapshots) == 1


async def test_a_slow_sidecar_gets_the_newest_and_nothing_between(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.link()
        made.state()
        await fake.until(lambda: fake.state)
        fake.gate.clear()
        made.snapshot("d0")
        made.state(level=1)
        await made.until(lambda: fake.concurrent_pushes == 2)
        for number in range(1, 50):
            newest = made.snapshot(f"d{number}")
            made.state(level=number)
        fake.gate.set()
        await fake.until(lambda: fake.running.digest == newest)
        await fake.until(lambda: fake.state and fake.state.state == cooling(49))

        assert len(fake.snapshots) <= 2
        assert len(fake.states) <= 4
        assert fake.most_concurrent_pushes <= 2


async def test_a_state_that_does_not_change_keeps_its_connection_in_use(
    fake: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "REFRESH_S", 0.05)
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.snapshot()
        made.state()
        made.link()
        await fake.until(lambda: len(fake.states) >= 3)

        assert {str(push.state) for push in fake.states} == {str(cooling())}
        assert len(fake.snapshots) == 1
        assert fake.streams == 1


async def test_a_state_that_was_long_on_its_way_is_told_once_more(
    fake: FakeSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "LATE_S", -1.0)  # whatever it takes is long
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.state()
        made.link()
        await fake.until(lambda: fake.order == ["state", "state"])
        made.state(level=1)
        await fake.until(lambda: fake.order == ["state"] * 4)
        made.snapshot()
        await fake.until(lambda: fake.snapshot)

        assert fake.order == [*["state"] * 4, "snapshot"]


async def test_a_new_link_gets_the_state_again(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(7)
        made.link()
        made.state()
        await fake.until(lambda: fake.state)
        first = fake.states[0]
        fake.cut()
        await fake.until(lambda: len(fake.states) == 2)

        assert fake.states[1].position >= first.position
        assert fake.states[1].state == first.state
        assert fake.epochs == [7, 7]


async def test_a_sidecar_ahead_in_our_own_epoch_is_overtaken(fake: FakeSidecar) -> None:
    fake.running = Running(snapshot=Position(3, 500), state=Position(3, 500))
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(3)
        made.link()
        made.ears.on_ahead = made.publisher.outrun
        digest = made.snapshot()
        made.state()
        await fake.until(lambda: fake.running.digest == digest and fake.states)

        assert fake.running.snapshot > Position(3, 500)


async def test_a_newer_leader_ends_the_link(fake: FakeSidecar) -> None:
    fake.newest_epoch = 9
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(3)
        made.state()
        made.link()
        await made.until(lambda: made.ears.depositions)

        assert fake.states == []


async def test_a_newer_epoch_in_an_answer_is_told(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(3)
        made.link()
        await fake.until(lambda: fake.read)
        fake.running, fake.newest_epoch = Running(state=Position(8, 1)), 8
        made.state()
        await made.until(lambda: made.ears.ahead)

        assert made.ears.ahead[0] == Position(8, 1)


async def test_a_refused_snapshot_is_told_and_not_repeated(fake: FakeSidecar) -> None:
    fake.refuse_snapshots = "cannot run this"
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.link()
        made.snapshot()
        await made.until(lambda: any(name == "snapshot" for name, _ in made.ears.answers))
        fake.refuse_snapshots = ""
        made.state()
        await fake.until(lambda: fake.state)
        assert [answer.status for name, answer in made.ears.answers if name == "snapshot"] == [422]
        assert made.ears.answers[0][1].running.error == "cannot run this"

        digest = made.snapshot("d2")
        await fake.until(lambda: fake.running.digest == digest)


@pytest.mark.parametrize(
    "line",
    [b"garbage\n", b'{"kind":"unknown"}\n', b"\xff\xfe\n", b"x" * (codec.MAX_REPORT_LINE_BYTES + 10)],
    ids=["no-json", "unknown", "binary", "endless"],
)
async def test_a_malformed_line_makes_the_link_anew(fake: FakeSidecar, line: bytes) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.link()
        made.state()
        await fake.until(lambda: fake.state)
        fake.tell(line)
        await fake.until(lambda: fake.streams == 2 and len(fake.states) == 2)

        assert made.ears.losses[0].startswith("malformed")
        assert len(made.ears.hellos) == 2


async def test_a_cut_stream_is_read_again(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.link()
        await fake.until(lambda: fake.read)
        fake.cut()
        await fake.until(lambda: fake.streams == 2)
        fake.tell(Heartbeat())
        await made.until(lambda: made.ears.reports == [Heartbeat()])


async def test_a_silent_stream_is_taken_for_dead(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port, idle_timeout_s=0.05) as made:
        made.publisher.activate(1)
        made.link()
        await fake.until(lambda: fake.streams == 2)

        assert made.ears.losses[0].startswith("timeout")


async def test_a_stranger_at_the_address_gets_nothing() -> None:
    stranger = FakeSidecar("somebody-else")
    async with stranger.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.snapshot()
        made.state()
        made.link()
        await made.until(lambda: made.ears.losses)

        assert "somebody-else" in made.ears.losses[0]
        assert stranger.order == []


async def test_a_wrong_token_is_named(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port, token="another-token-than-theirs") as made:
        made.publisher.activate(1)
        made.state()
        made.link()
        await made.until(lambda: made.ears.losses)

        assert "401" in made.ears.losses[0]


async def test_nothing_is_linked_before_and_after_leading(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.link()
        made.state()
        made.publisher.activate(1)
        made.state(level=1)
        await fake.until(lambda: fake.state)
        assert [push.state for push in fake.states] == [cooling(1)]

        made.publisher.deactivate()
        await fake.until(lambda: not fake.read)
        made.state(level=2)
        made.publisher.activate(2)
        made.state(level=3)
        await fake.until(lambda: len(fake.states) == 2)
        assert fake.states[1].state == cooling(3)
        assert fake.epochs == [1, 2]


async def test_a_pod_that_comes_late_is_reached_when_it_is_there(fake: FakeSidecar) -> None:
    async with fake.serving() as port:
        pass  # now nobody listens there
    async with desk(port) as made:
        made.publisher.activate(1)
        made.state()
        made.link()
        await made.until(lambda: made.ears.losses)
        async with fake.serving(port):
            await fake.until(lambda: fake.state)


async def test_a_new_pod_of_the_same_name_gets_a_link_of_its_own(fake: FakeSidecar) -> None:
    second = FakeSidecar("app-1", address="127.77.9.9")
    async with fake.serving() as port, second.serving(port), desk(port) as made:
        made.publisher.activate(1)
        made.state()
        made.link()
        await fake.until(lambda: fake.state)
        made.publisher.set_endpoint(SHOP, Endpoint(SHOP, "uid-2", "127.77.9.9", ""))
        await second.until(lambda: second.state)
        await fake.until(lambda: not fake.read)


async def test_twenty_sidecars_hear_of_a_trip_while_one_hangs() -> None:
    fakes = [FakeSidecar(f"app-{number}", address=f"127.77.8.{number + 1}") for number in range(20)]
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(fakes[0].serving())
        for fake in fakes[1:]:
            await stack.enter_async_context(fake.serving(port))
        made = await stack.enter_async_context(desk(port))
        made.publisher.activate(1)
        for fake in fakes:
            made.link(SidecarId("shop", fake.pod), fake.address)
        made.state()
        for fake in fakes:
            await fake.until(lambda fake=fake: fake.state)
        fakes[5].gate.clear()
        made.state(level=1)
        for fake in fakes[:5] + fakes[6:]:
            await fake.until(lambda fake=fake: fake.states[-1].state == cooling(1))

        assert fakes[5].states[-1].state == cooling(0)


async def test_configuration_goes_to_a_few_at_a_time_and_past_those_that_hang(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publish, "CONFIGURING_BYTES", 1)  # so each snapshot passes alone
    monkeypatch.setattr(publish, "PATIENCE_S", 0.1)
    fakes = [FakeSidecar(f"app-{number}", address=f"127.77.7.{number + 1}") for number in range(8)]
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(fakes[0].serving())
        for fake in fakes[1:]:
            await stack.enter_async_context(fake.serving(port))
        made = await stack.enter_async_context(desk(port))
        made.publisher.activate(1)
        made.state()
        for fake in fakes:
            made.link(SidecarId("shop", fake.pod), fake.address)
        for fake in fakes:
            await fake.until(lambda fake=fake: fake.state)
        for fake in fakes[:3]:
            fake.gate.clear()

        digest = made.snapshot()
        made.state(level=1)

        for fake in fakes[3:]:
            await fake.until(lambda fake=fake: fake.running.digest == digest)
            await fake.until(lambda fake=fake: fake.states[-1].state == cooling(1))
        for fake in fakes[:3]:
            assert not fake.snapshots
            fake.gate.set()
            await fake.until(lambda fake=fake: fake.running.digest == digest)


async def test_links_are_made_past_sidecars_that_never_greet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "CONNECTING", 1)
    monkeypatch.setattr(publish, "PATIENCE_S", 0.1)
    fake = FakeSidecar("app-1", address="127.77.6.1")
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(fake.serving())
        mute = await asyncio.start_server(_say_nothing, "127.77.6.2", port)
        stack.callback(mute.close)
        made = await stack.enter_async_context(desk(port))
        made.publisher.activate(1)
        made.state()
        made.link(SidecarId("shop", "mute"), "127.77.6.2")
        made.link(SidecarId("shop", "app-1"), fake.address)

        await fake.until(lambda: fake.state)
        assert made.ears.losses == []  # the mute one is still waited for, outside the gate


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def test_a_state_is_encoded_once_for_a_moment_and_dated_anew_later() -> None:
    clock = ManualClock()
    document = StateDocument(cooling(), Sequencer(7), clock)
    position, body = document.render()

    assert document.render() == (position, body)
    clock.advance(1)
    later, body = document.render()
    assert later > position
    assert later.epoch == 7
    assert codec.decode_state_push(body.content).sent_at_utc == clock.utc()


def test_a_document_does_not_show_its_keys() -> None:
    document = SnapshotDocument(snapshot(), {"shop/keys/key": Hidden("sk-planted")}, Sequencer(1))
    _, body = document.render()

    assert b"sk-planted" in body.content
    assert "sk-planted" not in repr(document)


async def test_parts_of_limits_go_to_the_one_whose_they_are_and_again_on_a_new_link(
    fake: FakeSidecar,
) -> None:
    other = FakeSidecar("app-2", address=fresh_address())
    fake.keeps_parts = other.keeps_parts = True
    async with fake.serving() as port, other.serving(port), desk(port) as made:
        made.publisher.activate(1)
        made.state()
        made.link()
        made.link(SidecarId("shop", "app-2"), other.address)
        await other.until(lambda: other.state)
        await fake.until(lambda: fake.state)
        assert made.publisher.publish_parts(SHOP, {"shop/claude": 400_000}, {"web": 10})
        assert not made.publisher.publish_parts(SHOP, {"shop/claude": 400_000}, {"web": 10})
        await fake.until(lambda: fake.parts)
        assert (fake.parts[-1].providers, fake.parts[-1].consumers) == ({"shop/claude": 400_000}, {"web": 10})
        assert len(fake.states) == 1
        assert not other.parts
        fake.cut()
        await fake.until(lambda: len(fake.parts) == 2)
        assert fake.parts[1] == fake.parts[0]


async def test_an_older_sidecar_is_sent_no_parts(fake: FakeSidecar) -> None:
    async with fake.serving() as port, desk(port) as made:
        made.publisher.activate(1)
        made.link()
        made.publisher.publish_parts(SHOP, {"shop/claude": 400_000}, {})
        made.state()
        made.snapshot()
        await fake.until(lambda: fake.snapshot)
        assert fake.order == ["state", "snapshot"]
