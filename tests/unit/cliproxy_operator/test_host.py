"""What the fleet decides is pushed at once, and what is due is not held up by chatter."""

import asyncio
from dataclasses import dataclass, field

import pytest

from cliproxy_api.report import Heartbeat, Tripped
from cliproxy_api.scope import Scope
from cliproxy_api.snapshot import Credential, Model, Provider
from cliproxy_api.state import FleetState
from cliproxy_api.vocabulary import CooldownPhase, OutcomeClass, ProviderType
from cliproxy_operator.clock import Clock
from cliproxy_operator.host import FleetHost
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.money.leases import Leases
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.view import SidecarId

ONE = SidecarId("shop", "app-1")
CLAUDE = "shop/claude"


@dataclass
class Pushes:
    """Remembers the newest state of each namespace."""

    newest: dict[str, FleetState] = field(default_factory=dict)
    half_open: asyncio.Event = field(default_factory=asyncio.Event)

    def publish_state(self, namespace: str, state: FleetState) -> bool:
        self.newest[namespace] = state
        if CooldownPhase.HALF_OPEN in self.phases(namespace):
            self.half_open.set()
        return True

    def phases(self, namespace: str = "shop") -> list[CooldownPhase]:
        return [cooldown.phase for cooldown in self.newest[namespace].cooldowns]


def provider(id_: str = CLAUDE) -> Provider:
    return Provider(
        id=id_,
        name=id_.partition("/")[2],
        type=ProviderType.ANTHROPIC,
        base_url="https://api.anthropic.com",
        credentials=(Credential(name="main", secret="s", secret_digest="d"),),
        models=(Model(name="m", upstream_name="m"),),
    )


def tripped(remaining_s: float = 60) -> Tripped:
    return Tripped(
        scope=Scope(provider=CLAUDE, credential="main", model="m"),
        outcome_class=OutcomeClass.RATE_LIMITED,
        reason="429",
        remaining_s=remaining_s,
    )


@pytest.fixture
def pushes() -> Pushes:
    return Pushes()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def host(pushes: Pushes, told: list[str]) -> FleetHost:
    made = FleetHost(  # type: ignore[arg-type]
        publisher=pushes, clock=Clock(), metrics=Metrics(), on_change=told.append, leases=lambda _: Leases()
    )
    made.configure("shop", {CLAUDE: provider()})
    made.present(ONE, frozenset({CLAUDE}))
    return made


async def test_a_trip_is_pushed_and_told(host: FleetHost, pushes: Pushes, told: list[str]) -> None:
    assert pushes.phases() == []
    host.hear(ONE, tripped())

    assert pushes.phases() == [CooldownPhase.COOLING]
    assert told == [CLAUDE]
    host.hear(ONE, Heartbeat())
    assert told == [CLAUDE]


async def test_a_trip_reaches_every_namespace_that_uses_the_provider(host: FleetHost, pushes: Pushes) -> None:
    host.configure("shed", {CLAUDE: provider()})
    host.configure("barn", {"barn/other": provider("barn/other")})
    host.hear(ONE, tripped())

    assert pushes.phases("shed") == [CooldownPhase.COOLING]
    assert pushes.phases("barn") == []


async def test_by_hand(host: FleetHost, pushes: Pushes) -> None:
    assert host.cooldown(CLAUDE, 60, "manual")
    assert pushes.phases() == [CooldownPhase.COOLING]
    assert host.recover(CLAUDE)
    assert pushes.phases() == []
    assert not host.recover(CLAUDE)
    assert not host.cooldown("shop/nobody", 60, "manual")


@pytest.mark.parametrize("shorter_s", [600, 60])
async def test_a_cooldown_that_a_longer_one_covers_is_no_word_of_a_provider_out_of_use(
    host: FleetHost, pushes: Pushes, shorter_s: float
) -> None:
    assert host.cooldown(CLAUDE, 600, "manual")
    (before,) = pushes.newest["shop"].cooldowns

    assert host.cooldown(CLAUDE, shorter_s, "manual")
    assert pushes.newest["shop"].cooldowns == (before,)


async def test_a_namespace_without_providers_has_an_empty_state(host: FleetHost, pushes: Pushes) -> None:
    host.hear(ONE, tripped())
    host.configure("shop", {})

    assert pushes.newest["shop"] == FleetState()
    pushes.newest.clear()
    host.drop("shop")
    host.settle()
    assert pushes.newest == {}


async def test_a_provider_that_is_gone_leaves_no_figure_behind(pushes: Pushes) -> None:
    metrics = Metrics()
    host = FleetHost(  # type: ignore[arg-type]
        publisher=pushes, clock=Clock(), metrics=metrics, on_change=lambda _: None, leases=lambda _: Leases()
    )
    host.configure("shop", {CLAUDE: provider()})
    host.hear(ONE, tripped())
    assert b'cliproxy_cooldown_active{namespace="shop",provider="claude"} 1.0' in metrics.text()

    host.configure("shop", {})
    assert b"cliproxy_cooldown_active{" not in metrics.text()

    host.configure("shop", {CLAUDE: provider()})
    host.hear(ONE, tripped())
    host.drop("shop")
    assert b"cliproxy_cooldown_active{" not in metrics.text()


async def test_what_is_due_does_not_wait_for_silence(host: FleetHost, pushes: Pushes) -> None:
    tasks = Tasks()

    async def chatter() -> None:
        while True:
            host.hear(ONE, Heartbeat())
            await asyncio.sleep(0)

    host.hear(ONE, tripped(remaining_s=0.1))
    tasks.spawn(host.run(), "host")
    tasks.spawn(chatter(), "chatter")
    try:
        async with asyncio.timeout(10):
            await pushes.half_open.wait()
    finally:
        await tasks.stop()
