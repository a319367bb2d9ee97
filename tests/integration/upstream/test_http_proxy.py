"""Providers behind an HTTP proxy: aiohttp asks the one that the environment names, the own client none."""

import pytest

from cliproxy_api.snapshot import ConnectionPool
from cliproxy_sidecar.proxy.h1.client import EngineUpstream
from cliproxy_sidecar.proxy.plan import Dial
from cliproxy_sidecar.proxy.upstream_aiohttp import AiohttpUpstream
from support.answers import length_answer
from support.engine import PATIENT, request, rest
from support.rawserver import Peer, RawServer


@pytest.mark.parametrize(
    ("dial", "asked"),
    [(AiohttpUpstream, b"POST http://127.0.0.1:%d/v1/chat/completions HTTP/1.1"), (EngineUpstream, None)],
    ids=["aiohttp", "engine"],
)
async def test_who_is_asked_when_the_environment_names_a_proxy(
    dial: Dial, asked: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[bytes] = []

    async def proxy(peer: Peer) -> None:
        heads.append((await peer.request())[0])
        await peer.send(length_answer(b'"by proxy"'))

    async def provider(peer: Peer) -> None:
        await peer.request()
        await peer.send(length_answer(b'"directly"'))

    async with RawServer(proxy) as between, RawServer(provider) as behind:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{between.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        client = dial(ConnectionPool())
        try:
            got = await rest(await client.send(request(behind.url), PATIENT))
        finally:
            await client.aclose()
        assert got.body == (b'"directly"' if asked is None else b'"by proxy"')
        assert [head.partition(b"\r\n")[0] for head in heads] == ([asked % behind.port] if asked else [])
