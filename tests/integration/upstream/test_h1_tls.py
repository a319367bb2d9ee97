"""Connections with TLS: only to whom the certificate says; and name, address and family of who is called."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from cliproxy_api.snapshot import ConnectionPool, Timeouts
from cliproxy_sidecar.proxy.h1 import dial
from cliproxy_sidecar.proxy.h1.client import EngineUpstream, split_url
from cliproxy_sidecar.proxy.h1.dial import Address, Origin, interleave
from cliproxy_sidecar.proxy.h1.tls import client_context
from support.answers import OK, length_answer
from support.engine import PATIENT, call, engine, request
from support.rawserver import Peer, RawServer, server_context
from support.sidecar import eventually


async def polite(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.send(length_answer())


def named(url: str) -> str:
    """Return the address with a host name, which TLS sends along."""
    return url.replace("127.0.0.1", "localhost")


async def test_whom_the_authority_vouches_for_is_called_and_kept() -> None:
    async with RawServer(polite, tls="good") as server, engine() as client:
        for url in (server.url, server.url, named(server.url)):
            got = await call(client, url)
            assert (got.status, got.body, got.error) == (200, b"{}", None)
        assert server.connections == 2


@pytest.mark.parametrize("certificate", ["other", "expired", "selfsigned"])
async def test_who_is_somebody_else_hears_no_key(certificate: str) -> None:
    heard: list[bytes] = []

    async def script(peer: Peer) -> None:
        heard.append(await peer.gone())

    async with RawServer(script, tls=certificate) as server, engine() as client:
        got = await call(client, named(server.url))
        assert got.error == "tls"
        assert got.failure is not None
        assert "certificate" in got.failure.message.lower()
        assert not any(heard)


async def test_the_systems_authorities_are_trusted_and_nobody_else() -> None:
    async with RawServer(polite, tls="good") as server:
        client = EngineUpstream(ConnectionPool(), context=client_context)
        try:
            assert (await call(client, server.url)).error == "tls"
        finally:
            await client.aclose()
    context = client_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_the_name_and_http11_are_told_in_the_handshake() -> None:
    context, told = server_context("good"), []

    def note(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        told.append((name, connection))

    context.sni_callback = note
    async with RawServer(polite, tls=context) as server, engine() as client:
        assert (await call(client, named(server.url))).status == 200
        assert (await call(client, server.url)).status == 200
    assert [name for name, _ in told] == ["localhost", None]
    assert {connection.selected_alpn_protocol() for _, connection in told} == {"http/1.1"}


async def test_plain_talk_behind_https_is_a_tls_failure() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async with RawServer(script) as server, engine() as client:
        assert (await call(client, server.url.replace("http:", "https:"))).error == "tls"


@pytest.mark.parametrize("closing", [True, False])
async def test_a_handshake_that_does_not_happen(closing: bool) -> None:  # noqa: FBT001
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)
        if not closing:
            await peer.gone()

    async with RawServer(script) as server, engine() as client:
        url = server.url.replace("http:", "https:")
        got = await call(client, url, Timeouts(connect_s=0.2))
        assert got.error == ("tls" if closing else "connect")
        await server.settled()


async def test_a_large_answer_over_tls_in_the_callers_pace() -> None:
    size = 8_000_000

    async def script(peer: Peer) -> None:
        _, body = await peer.request()
        assert len(body) == size
        await peer.send(OK + b"content-length: %d\r\n\r\n" % size)
        for _ in range(8):
            await peer.send(b"x" * 1_000_000)
        await peer.gone()

    async with RawServer(script, tls="good") as server, engine() as client:
        response = await client.send(request(server.url, body=b"y" * size), PATIENT)
        await asyncio.sleep(0.1)
        received = 0
        while piece := await response.read():
            received += len(piece)
            assert len(piece) < 2_000_000
        assert received == size


# ------------------------------------------------------------------ names and families
async def test_literal_ipv6_addresses() -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        heads.append((await peer.request())[0])
        await peer.send(length_answer())

    try:
        server = await RawServer(script, host="::1").__aenter__()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    try:
        async with engine() as client:
            assert (await call(client, server.url)).status == 200
            assert f"host: [::1]:{server.port}\r\n".encode() in heads[0]
    finally:
        await server.__aexit__()


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("https://api.example/v1/x", Origin("api.example", 443, tls=True), "api.example", "/v1/x"),
        ("https://api.example:443", Origin("api.example", 443, tls=True), "api.example", "/"),
        ("http://api.example?a=b", Origin("api.example", 80, tls=False), "api.example", "/?a=b"),
        ("http://API.example:8080/x", Origin("api.example", 8080, tls=False), "api.example:8080", "/x"),
        ("https://[2001:db8::1]/x", Origin("2001:db8::1", 443, tls=True), "[2001:db8::1]", "/x"),
        ("https://api.example:80/x#y", Origin("api.example", 80, tls=True), "api.example:80", "/x"),
    ],
)
def test_addresses_are_taken_apart(url: str, origin: Origin, host: str, target: str) -> None:
    assert split_url(url) == (origin, host, target)


def test_families_take_turns() -> None:
    six = [Address(socket.AF_INET6, (f"2001:db8::{n}", 443, 0, 0)) for n in (1, 2, 3)]
    four = [Address(socket.AF_INET, (f"192.0.2.{n}", 443)) for n in (1, 2)]
    assert interleave([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert interleave([]) == []


class Resolver:
    """Stands in for the system's resolver of the running loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addresses: Address) -> None:
        async def resolve(*_: Any) -> list[Address]:
            return list(addresses)

        monkeypatch.setattr(dial, "_resolve", resolve)


async def test_an_address_that_does_not_answer_costs_a_head_start_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect, tried = dial._connect, []

    async def held(address: Address) -> socket.socket:
        tried.append(address.sockaddr[0])
        if address.sockaddr[0] == "127.0.0.9":
            await asyncio.Event().wait()
        return await connect(address)

    monkeypatch.setattr(dial, "_connect", held)
    async with RawServer(polite) as server, engine() as client:
        there = Address(socket.AF_INET, ("127.0.0.1", server.port))
        Resolver(monkeypatch, Address(socket.AF_INET, ("127.0.0.9", server.port)), there)
        assert (await call(client, server.url)).status == 200
        assert tried == ["127.0.0.9", "127.0.0.1"]


async def test_an_address_that_refuses_costs_no_head_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "HEAD_START_S", 60.0)
    async with RawServer(polite) as server, engine() as client:
        there = Address(socket.AF_INET, ("127.0.0.1", server.port))
        Resolver(monkeypatch, Address(socket.AF_INET, ("127.0.0.9", server.port)), there)
        assert (await call(client, server.url)).status == 200
        Resolver(monkeypatch, *(Address(socket.AF_INET, (f"127.0.0.{n}", server.port)) for n in (8, 9)))
        assert (await call(client, "http://elsewhere.example/x")).error == "connect"


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port on which nobody accepts any more: further calls to it hang."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003 -- the only way to say it
            filler.connect_ex(("127.0.0.1", port))
        yield port


async def test_a_call_that_does_not_connect_in_time_or_is_given_up_leaves_nothing_open() -> None:
    with full_backlog() as port:
        async with engine(ConnectionPool(max_connections=1)) as client:
            url = f"http://127.0.0.1:{port}/x"
            assert (await call(client, url, Timeouts(connect_s=0.2))).error == "connect"
            assert (await call(client, url, Timeouts(connect_s=5.0, total_s=0.2))).error == "total_timeout"
            calling = asyncio.ensure_future(call(client, url))
            pool = next(iter(client._pools.values()))
            await eventually(lambda: pool._places == 0)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            assert pool._places == 1
