"""The control channel over real TLS: who gets in, who does not, and certificates that change under a link."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cliproxy_api.channel import OPERATOR_ID, sidecar_host
from cliproxy_api.report import Failed
from cliproxy_api.scope import Scope
from cliproxy_api.state import FleetState
from cliproxy_api.vocabulary import OutcomeClass
from cliproxy_dev.providers.provider import ScriptedProvider
from cliproxy_operator.clock import Clock
from cliproxy_operator.identity import IdentityError, client_context
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.mounted import MountedIdentity
from cliproxy_operator.publish import Endpoint, Publisher
from cliproxy_operator.tasks import Tasks
from cliproxy_operator.transport import Peer, TlsTransport
from cliproxy_operator.view import SidecarId
from cliproxy_operator.wire.trouble import LinkError
from support.ears import Ears
from support.pki import HOUR, Authority, FixedIdentity, write
from support.sidecar import HOST, RunningSidecar, eventually, running_sidecar

SIDECAR = SidecarId("team-a", "sidecar-1")
PEER = Peer("team-a", HOST)


@pytest.fixture(scope="module")
def ours() -> Authority:
    return Authority()


@pytest.fixture
def folder(ours: Authority, tmp_path: Path) -> Path:
    return ours.mount(tmp_path / "tls")


@asynccontextmanager
async def transport(sidecar: RunningSidecar, identity: FixedIdentity) -> AsyncIterator[TlsTransport]:
    port = sidecar.sidecar.servers.ports["control"]
    made = TlsTransport(identity=identity, port=port)
    try:
        yield made
    finally:
        await made.close()


async def first_line(made: TlsTransport, peer: Peer = PEER) -> bytes:
    async with made.reports(peer, 1) as lines:
        return await anext(lines)


async def read_all(made: TlsTransport) -> None:
    async with made.reports(PEER, 1) as lines:
        async for _ in lines:
            pass


async def test_the_operator_gets_in(ours: Authority, folder: Path) -> None:
    async with (
        running_sidecar(tls_dir=folder) as sidecar,
        transport(sidecar, FixedIdentity(ours.operator(), ours.pem)) as made,
    ):
        assert b'"hello"' in await first_line(made)
        answer = await made.put(PEER, "state", b"{}")
        assert answer.status == 422


def strangers(ours: Authority) -> dict[str, FixedIdentity]:
    theirs = Authority()
    return {
        "another authority": FixedIdentity(theirs.operator(), ours.pem),
        "expired": FixedIdentity(ours.operator(ends_in=-HOUR / 2), ours.pem),
        "another name": FixedIdentity(ours.issue("spiffe://cliproxy.io/somebody", "client"), ours.pem),
        "the name as DNS": FixedIdentity(ours.issue("spiffe.cliproxy.io", "client"), ours.pem),
        "a longer name": FixedIdentity(ours.issue(f"{OPERATOR_ID}/x", "client"), ours.pem),
        "a sidecar": FixedIdentity(ours.issue(sidecar_host("team-a"), "server"), ours.pem),
        "the operator's name for a server": FixedIdentity(ours.issue(OPERATOR_ID, "server"), ours.pem),
    }


async def test_strangers_are_refused_before_a_byte_is_read(ours: Authority, folder: Path) -> None:
    async with running_sidecar(tls_dir=folder) as sidecar:
        for what, identity in strangers(ours).items():
            async with transport(sidecar, identity) as made:
                with pytest.raises(LinkError) as caught:
                    await first_line(made)
                assert caught.value.trouble in {"tls", "closed", "connect"}, what
                with pytest.raises(LinkError):
                    await made.put(PEER, "snapshot", b"{}")
        assert not sidecar.sidecar.reporter.attached
        assert sidecar.sidecar.snapshots.newest_epoch == 0
        async with transport(sidecar, FixedIdentity(ours.operator(), ours.pem)) as made:
            assert await first_line(made)


async def test_the_refusal_of_another_name_is_counted(ours: Authority, folder: Path) -> None:
    wrong = FixedIdentity(ours.issue("spiffe://cliproxy.io/somebody", "client"), ours.pem)
    async with running_sidecar(tls_dir=folder) as sidecar, transport(sidecar, wrong) as made:
        with pytest.raises(LinkError):
            await first_line(made)
        samples = await sidecar.metrics()
        assert samples['cliproxy_authentication_failures_total{port="control",reason="stranger"}'] >= 1
        assert "not the operator's" in sidecar.log_text()


async def test_without_a_certificate_nobody_gets_in(ours: Authority, folder: Path) -> None:
    async with running_sidecar(tls_dir=folder) as sidecar:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=ours.pem)
        answer = await tls_get(sidecar, context)
        assert answer == b""


async def tls_get(sidecar: RunningSidecar, context: ssl.SSLContext) -> bytes:
    """Ask over a connection of our own; returns what came before it broke."""
    port = sidecar.sidecar.servers.ports["control"]
    try:
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=context, server_hostname=sidecar_host("team-a")
        )
    except (ssl.SSLError, ConnectionError):
        return b""
    writer.write(b"GET /v0/control/reports HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    try:
        async with asyncio.timeout(5):
            return await reader.read(100)
    except (ssl.SSLError, ConnectionError):
        return b""
    finally:
        writer.transport.abort()


async def test_older_protocols_are_refused(ours: Authority, folder: Path) -> None:
    context = client_context(ours.operator(), ours.pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with running_sidecar(tls_dir=folder) as sidecar:
        assert await tls_get(sidecar, context) == b""
        context.maximum_version = ssl.TLSVersion.TLSv1_3
        assert (await tls_get(sidecar, context)).startswith(b"HTTP/1.1 200")


async def test_nothing_is_served_in_clear(folder: Path) -> None:
    async with running_sidecar(tls_dir=folder) as sidecar:
        port = sidecar.sidecar.servers.ports["control"]
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /v0/control/reports HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(5):
            try:
                answer = await reader.read()
            except ConnectionError:
                answer = b""
        writer.close()
        assert b"HTTP" not in answer


async def test_a_sidecar_of_another_namespace_cannot_pose_as_one_of_ours(
    ours: Authority, tmp_path: Path
) -> None:
    folder = ours.mount(tmp_path / "tls", namespace="team-b")
    identity = FixedIdentity(ours.operator(), ours.pem)
    async with running_sidecar(tls_dir=folder) as sidecar, transport(sidecar, identity) as made:
        with pytest.raises(LinkError, match="team-a") as caught:
            await first_line(made)
        assert caught.value.trouble == "tls"
        assert await first_line(made, Peer("team-b", HOST))


async def test_a_server_of_another_authority_is_refused(ours: Authority, folder: Path) -> None:
    theirs = Authority()
    identity = FixedIdentity(ours.operator(), theirs.pem)
    async with running_sidecar(tls_dir=folder) as sidecar, transport(sidecar, identity) as made:
        with pytest.raises(LinkError) as caught:
            await first_line(made)
        assert caught.value.trouble == "tls"


async def test_files_that_come_late_open_the_door(ours: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    identity = FixedIdentity(ours.operator(), ours.pem)
    async with running_sidecar(tls_dir=folder) as sidecar, transport(sidecar, identity) as made:
        with pytest.raises(LinkError):
            await first_line(made)
        assert "is not there yet" in sidecar.log_text()
        ours.mount(folder)
        assert await first_line(made)


async def test_unusable_files_leave_the_former_ones_in_force(ours: Authority, folder: Path) -> None:
    identity = FixedIdentity(ours.operator(), ours.pem)
    async with running_sidecar(tls_dir=folder) as sidecar, transport(sidecar, identity) as made:
        (folder / "tls.key").write_text("no key", "ascii")
        assert await first_line(made)
        assert "cannot be used" in sidecar.log_text()


async def test_a_connection_ends_with_its_certificate(ours: Authority, folder: Path) -> None:
    short = FixedIdentity(ours.operator(ends_in=timedelta(seconds=2)), ours.pem)
    async with running_sidecar(tls_dir=folder) as sidecar, transport(sidecar, short) as made:
        with pytest.raises(LinkError):
            await read_all(made)
        short.show(ours.operator(), ours.pem)
        assert await first_line(made)


def failure(number: int) -> Failed:
    return Failed(scope=Scope(provider=f"team-a/p{number}"), outcome_class=OutcomeClass.SERVER_ERROR, count=1)


async def test_everything_is_rotated_under_a_live_link_and_no_report_is_lost(
    ours: Authority, folder: Path, scripted_openai: ScriptedProvider
) -> None:
    """Both authorities, the server's certificate and ours change while reports stream without a pause."""
    following = Authority()
    both = ours.pem + following.pem
    identity = FixedIdentity(ours.operator(), ours.pem)
    ears, tasks = Ears(), Tasks()
    async with running_sidecar(tls_dir=folder) as sidecar, transport(sidecar, identity) as made:
        publisher = Publisher(transport=made, clock=Clock(), metrics=Metrics(), tasks=tasks)
        publisher.listen(ears)
        publisher.activate(1)
        publisher.set_endpoint(SIDECAR, Endpoint(SIDECAR, "uid", HOST, ""))
        await eventually(lambda: ears.hellos, what="the link")
        told = 0

        async def talk() -> None:
            nonlocal told
            while True:
                sidecar.sidecar.reporter.tell([failure(told)])
                told += 1
                await asyncio.sleep(0)

        talking = asyncio.ensure_future(talk())
        for pair, trusted, mounted in (
            (ours.operator(), both, lambda: ours.mount(folder, trusts=both)),
            (following.operator(), both, lambda: following.mount(folder, trusts=both)),
            (following.operator(), following.pem, lambda: following.mount(folder)),
        ):
            mounted()
            identity.show(pair, trusted)
            streams = sidecar.sidecar.reporter._reader
            publisher.renew()
            await eventually(
                lambda streams=streams: sidecar.sidecar.reporter._reader not in (None, streams),
                what="the new stream",
            )
        talking.cancel()
        publisher.publish_state("team-a", FleetState())
        await eventually(lambda: ("state", 200) in [(n, a.status) for n, a in ears.answers], what="a push")

        def heard() -> list[str]:
            return [r.scope.provider for r in ears.reports if isinstance(r, Failed)]

        await eventually(lambda: len(set(heard())) == told, what="every report")
        assert ears.losses == []
        assert len(ears.hellos) == 1
        await tasks.stop()


async def test_mounted_files_are_read_again(ours: Authority, folder: Path, tmp_path: Path) -> None:
    mounted = tmp_path / "operator"
    identity = MountedIdentity(mounted)
    with pytest.raises(IdentityError, match=r"tls\.crt"):
        identity.context()
    write(mounted, ours.operator(), ours.pem)
    first = identity.context()
    assert identity.context() is first
    write(mounted, ours.operator(), ours.pem)
    second = identity.context()
    assert second is not first
    (mounted / "tls.key").write_text("no key", "ascii")
    assert identity.context() is second
