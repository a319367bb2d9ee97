"""The keeper of certificates: writes what is due and nothing else, on the leader only."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from cliproxy_api.channel import CA_SECRET, SIDECAR_TLS_SECRET, sidecar_host
from cliproxy_operator import x509
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.identity import IdentityError
from cliproxy_operator.kinds import Resource
from cliproxy_operator.kube import ApiError
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.pki import LOOK_AGAIN_S, Pki
from cliproxy_operator.settings import read_settings
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.x509 import Pair
from support.cluster import eventually
from support.manualclock import ManualClock

DAY_S = 86_400.0
HOME = "cliproxy-system"
CA = (HOME, CA_SECRET)
SHOP = ("shop", SIDECAR_TLS_SECRET)


class SecretKube:
    """Just enough of an API server for Secrets: versions, conflicts, and being away."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], dict[str, Any]] = {}
        self.writes: list[str] = []
        self.away = False
        self.version = 0

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        self.check()
        return self.secrets.get((namespace, name))

    async def apply(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], *, manager: str
    ) -> dict[str, Any]:
        self.check()
        held = self.secrets.get((namespace, name))
        wanted = body["metadata"].get("resourceVersion")
        if wanted is not None and (held is None or held["metadata"]["resourceVersion"] != wanted):
            raise ApiError(409, "Conflict", "it has changed")
        self.version += 1
        self.writes.append(name)
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        self.secrets[namespace, name] = {**body, "metadata": metadata}
        return self.secrets[namespace, name]

    def check(self) -> None:
        if self.away:
            raise ApiError(0, "ClientConnectorError", "nobody there")


class CopiedKube(SecretKube):
    """Besides, kubectl owns what it has put back, as long as nobody else writes another value over it."""

    def __init__(self) -> None:
        super().__init__()
        self.copied: dict[str, str] = {}

    def put_back(self) -> None:
        self.copied = dict(self.secrets[CA]["data"])

    async def apply(
        self, resource: Resource, namespace: str, name: str, body: Mapping[str, Any], *, manager: str
    ) -> dict[str, Any]:
        made = await super().apply(resource, namespace, name, body, manager=manager)
        if (namespace, name) == CA:
            data = body["data"]
            self.copied = {one: held for one, held in self.copied.items() if data.get(one, held) == held}
            made["data"] = self.copied | data
        return made


class Desk:
    """One replica's keeper."""

    def __init__(self, tasks: Tasks, kube: SecretKube | None = None) -> None:
        self.kube = kube or SecretKube()
        self.clock = ManualClock()
        self.leads = True
        self.served = {"shop"}
        self.keys: list[bytes] = []
        self.pki = Pki(
            kube=self.kube,  # type: ignore[arg-type]
            settings=read_settings({"POD_NAMESPACE": HOME}),
            clock=self.clock,
            metrics=Metrics(),
            tasks=tasks,
            may_write=lambda: self.leads,
            digest_key=self.keys.append,
            wanted=lambda: self.served,
        )
        tasks.spawn(self.pki.queue.run(), "queue")

    async def pass_time(self, seconds: float) -> None:
        """Let time go by in steps of the keeper's own looks."""
        ends_s = self.clock.now() + seconds
        while self.clock.now() < ends_s:
            self.clock.advance(min(seconds, 12 * LOOK_AGAIN_S))
            await self.settle()

    async def settle(self) -> None:
        for _ in range(4):
            self.pki.queue._wake.set()
            for _ in range(8):
                await asyncio.sleep(0)

    async def lead(self) -> None:
        self.pki.lead()
        self.pki.want("shop")
        for _ in range(3):
            self.clock.advance(2.0)
            await self.settle()
        assert self.pki.ready.is_set()

    def refused(self, status: int) -> None:
        """Have the API server refuse reads and writes from now on."""

        def refuse() -> None:
            raise ApiError(status, "Planted", "not today")

        self.kube.check = refuse  # type: ignore[method-assign]

    def files(self, where: tuple[str, str] = SHOP) -> dict[str, str]:
        data = self.kube.secrets[where]["data"]
        return {name: base64.b64decode(value).decode() for name, value in data.items()}

    def leaf(self) -> Any:
        files = self.files()
        return x509.read_leaf(Pair(files["tls.crt"], Hidden(files["tls.key"])), files["ca.crt"])


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    made = Tasks()
    yield made
    await made.stop()


async def test_a_first_leader_makes_everything_once(tasks: Tasks) -> None:
    desk = Desk(tasks)
    with pytest.raises(IdentityError):
        desk.pki.context()
    await desk.lead()
    assert sorted(desk.kube.writes) == [CA_SECRET, SIDECAR_TLS_SECRET]
    assert desk.leaf().names == {sidecar_host("shop")}
    assert desk.files()["ca.crt"] == desk.files(CA)["tls.crt"]
    assert desk.keys[0]
    context = desk.pki.context()
    await desk.pass_time(DAY_S)
    assert len(desk.kube.writes) == 2, "nothing was due"
    assert desk.pki.context() is context


async def test_a_next_leader_goes_on_with_what_there_is(tasks: Tasks) -> None:
    first = Desk(tasks)
    await first.lead()
    first.pki.stand_by()
    second = Desk(tasks, first.kube)
    await second.lead()
    assert sorted(first.kube.writes) == [CA_SECRET, SIDECAR_TLS_SECRET]
    assert second.keys[0] == first.keys[0], "digests stay the same"
    with pytest.raises(IdentityError):
        first.pki.context()


async def test_certificates_are_renewed_at_two_thirds(tasks: Tasks) -> None:
    desk = Desk(tasks)
    await desk.lead()
    before, context = desk.leaf(), desk.pki.context()
    await desk.pass_time(4.5 * DAY_S)
    assert desk.leaf() == before
    await desk.pass_time(0.3 * DAY_S)
    assert desk.leaf().life.ends > before.life.ends
    assert desk.pki.context() is not context
    assert desk.kube.writes.count(CA_SECRET) == 1


async def test_what_was_damaged_is_put_right_when_it_is_told(tasks: Tasks) -> None:
    desk = Desk(tasks)
    await desk.lead()
    before = desk.files(CA)
    desk.kube.secrets[SHOP]["data"]["tls.key"] = base64.b64encode(b"rubbish").decode()
    del desk.kube.secrets[CA]
    desk.pki.touched(*SHOP)
    desk.pki.touched(*CA)
    desk.clock.advance(2.0)
    await desk.settle()
    assert desk.leaf() is not None
    assert desk.files(CA) == before, "the authority was not forgotten"


async def test_who_does_not_lead_writes_nothing_but_stays_able_to_connect(tasks: Tasks) -> None:
    desk = Desk(tasks)
    await desk.lead()
    context = desk.pki.context()
    desk.leads, desk.kube.away = False, True
    await desk.pass_time(5 * DAY_S)
    assert len(desk.kube.writes) == 2
    assert desk.pki.context() is not context, "adrift, the own certificate is renewed from memory"
    desk.pki.stand_by()
    with pytest.raises(IdentityError):
        desk.pki.context()


async def test_an_api_server_that_is_away_is_asked_again(tasks: Tasks) -> None:
    desk = Desk(tasks)
    desk.kube.away = True
    desk.pki.lead()
    desk.pki.want("shop")
    await desk.settle()
    assert not desk.pki.ready.is_set()
    desk.kube.away = False

    async def served() -> bool:
        desk.clock.advance(5.0)
        await desk.settle()
        return SHOP in desk.kube.secrets and desk.pki.ready.is_set()

    await eventually(served)


async def test_a_namespace_that_is_gone_is_forgotten(tasks: Tasks) -> None:
    desk = Desk(tasks)
    await desk.lead()
    desk.served.clear()
    del desk.kube.secrets[SHOP]
    await desk.pass_time(DAY_S)
    assert SHOP not in desk.kube.secrets
    desk.pki.want("elsewhere")
    await desk.pass_time(DAY_S)
    assert ("elsewhere", SIDECAR_TLS_SECRET) not in desk.kube.secrets


async def test_a_whole_life_of_an_authority(tasks: Tasks) -> None:
    """A year and a half, two days at a time: at any instant both ends can check each other."""
    desk = Desk(tasks)
    await desk.lead()
    seen = set()
    for _ in range(275):
        desk.clock.advance(2 * DAY_S)
        await desk.settle()
        desk.clock.advance(2.0)
        await desk.settle()
        leaf, authority = desk.leaf(), desk.files(CA)
        seen.add(leaf.issuer)
        assert leaf.issuer in x509.key_ids(authority["ca.crt"])
        assert leaf.trusts == frozenset(x509.key_ids(authority["ca.crt"]))
        assert leaf.life.ends > desk.clock.utc()
    assert len(seen) == 3, "the first authority and two that followed"


async def test_a_copy_of_the_day_of_a_next_authority_that_was_put_back_leaves_nothing_behind(
    tasks: Tasks,
) -> None:
    kube = CopiedKube()
    desk = Desk(tasks, kube)
    await desk.lead()

    async def later(days: float) -> dict[str, str]:
        for _ in range(round(days * 4)):
            desk.clock.advance(DAY_S / 4)
            await desk.settle()
        for _ in range(4):
            desk.pki.touched(*CA)
            desk.clock.advance(2.0)
            await desk.settle()
        return desk.files(CA)

    first = desk.files(CA)["tls.crt"]
    announced = await later(243.75)
    assert announced["tls.crt"] == first
    assert announced["next.crt"]
    kube.put_back()

    promoted = await later(2)
    assert promoted["tls.crt"] == announced["next.crt"]
    assert promoted["former.crt"] == first
    assert not {"next.crt", "next.key"} & set(promoted)
    kube.put_back()
    writes = kube.writes.count(CA_SECRET)
    still = await later(4)
    assert still == promoted, "the former authority is trusted until its last certificate has ended"
    assert kube.writes.count(CA_SECRET) == writes, "nothing is due, nothing is written"

    ended = await later(4)
    assert set(ended) == {"tls.crt", "tls.key", "ca.crt", "digest.key"}
    assert ended["ca.crt"] == promoted["tls.crt"]


async def test_a_spoilt_authority_that_nobody_remembers_is_made_anew_and_told(
    tasks: Tasks, caplog: pytest.LogCaptureFixture
) -> None:
    first = Desk(tasks)
    await first.lead()
    leaf = first.leaf()
    first.pki.stand_by()
    first.kube.secrets[CA]["data"]["tls.key"] = base64.b64encode(b"rubbish").decode()
    second = Desk(tasks, first.kube)
    await second.lead()
    (said,) = [one for one in caplog.records if one.message == "authority cannot be used"]
    assert "no replica remembers it" in said.__dict__["reason"]
    assert second.leaf().issuer != leaf.issuer, "sidecars get a certificate of the new one"
    assert second.leaf().issuer == x509.key_id(second.files(CA)["tls.crt"])
    assert second.pki.problem() == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "rbac.create=true"),
        (404, f"create namespace {HOME}"),
        (422, f"kubectl -n {HOME} delete secret cliproxy-ca"),
        (500, "tried again by itself"),
    ],
)
async def test_who_cannot_keep_the_authority_says_why_and_what_to_do(
    tasks: Tasks, status: int, words: str
) -> None:
    desk = Desk(tasks)
    desk.refused(status)
    desk.pki.lead()
    await desk.settle()
    problem = desk.pki.problem()
    assert f"Secret {HOME}/cliproxy-ca cannot be kept: {status} Planted: not today" in problem
    assert words in problem
    del desk.kube.check  # type: ignore[method-assign]
    await desk.lead()
    assert desk.pki.problem() == ""


async def test_who_cannot_read_the_authority_any_more_stays_able_to_connect(tasks: Tasks) -> None:
    desk = Desk(tasks)
    await desk.lead()
    seen = {desk.pki.context()}
    desk.refused(403)
    for _ in range(3):
        await desk.pass_time(5 * DAY_S)
        seen.add(desk.pki.context())
        assert desk.pki.problem() == "", "nothing ends for want of the Secret"

    assert len(seen) == 4, "renewed from memory at two thirds of each week"
    assert len(desk.kube.writes) == 2


async def test_an_authority_that_ends_unkept_is_told_until_it_is_kept(tasks: Tasks) -> None:
    desk = Desk(tasks)
    await desk.lead()
    context = desk.pki.context()
    desk.refused(403)
    desk.clock.advance(400 * DAY_S)
    await desk.settle()
    assert "Secret cliproxy-system/cliproxy-ca cannot be kept: 403 Planted" in desk.pki.problem()
    assert desk.pki.context() is context, "nothing that has ended is signed with"

    del desk.kube.check  # type: ignore[method-assign]
    desk.clock.advance(20.0)
    await desk.settle()
    assert desk.pki.problem() == ""
    assert desk.pki.context() is not context


async def test_a_trouble_that_is_over_is_not_told_later(tasks: Tasks) -> None:
    desk = Desk(tasks)
    desk.refused(500)
    desk.pki.lead()
    await desk.settle()
    assert desk.pki.problem()
    del desk.kube.check  # type: ignore[method-assign]
    await desk.lead()
    desk.leads = False
    desk.clock.advance(400 * DAY_S)

    assert desk.pki.problem() == "", "the API server was last seen to take everything"
