"""The front of the newest server's plane, over real connections between two scripted API servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cliproxy_api import kubeconfig
from cliproxy_dev.newest.front import Front
from support.pki import Authority, write


class Server:
    """Says its name and what it was asked; ends a watch after one event, cuts `/cut` in the middle."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/apis" and self.name == "core":
            asked = request.headers.getall("Accept", [])
            return web.json_response({"groups": [{"name": "apps", "accept": asked}]})
        if request.path == "/apis/cliproxy.io":
            return web.json_response({"name": "cliproxy.io", "of": self.name})
        if request.path.endswith("/long"):
            long = web.Response(text="long " * 1000)
            long.enable_compression()
            return long
        if request.query.get("watch") or request.path.endswith("/cut"):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b'{"type": "ADDED"}\n')
            if request.path.endswith("/cut"):
                assert request.transport is not None
                request.transport.abort()
            return response
        said = f"{self.name} {request.method} {request.raw_path} {request.headers.get('Authorization')} "
        return web.Response(body=said.encode() + await request.read(), status=409, headers={"Audit-Id": "7"})


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[tuple[str, aiohttp.ClientSession, TestServer]]:
    authority = Authority()
    write(tmp_path, authority.issue("localhost", "server"), authority.pem)
    async with AsyncExitStack() as stack:
        servers = []
        for name in ("core", "newest"):
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", Server(name).answer)
            servers.append(await stack.enter_async_context(TestServer(app, host="127.0.0.1")))
        core, newest = (str(server.make_url("")).rstrip("/") for server in servers)
        front = Front(core=core, newest=newest, trusted=True)
        url = await front.start(certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")
        stack.push_async_callback(front.stop)
        url = url.replace("127.0.0.1", "localhost")
        tls = kubeconfig.tls_settings(kubeconfig.Endpoint(server=url, ca_pem=authority.pem))
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls or True))
        yield url, await stack.enter_async_context(session), servers[1]


Setup = tuple[str, aiohttp.ClientSession, TestServer]


@pytest.mark.parametrize(
    ("path", "whose"),
    [("/api/v1/secrets?labelSelector=a%3Db", "core"), ("/apis/cliproxy.io/v1alpha1/llmproviders", "newest")],
)
async def test_a_request_reaches_its_server_whole(front: Setup, path: str, whose: str) -> None:
    url, session, _ = front
    headers = {"Authorization": "Bearer t"}
    async with session.patch(url + path, data=b"body", headers=headers) as answer:
        assert (answer.status, answer.headers["Audit-Id"]) == (409, "7")
        assert await answer.text() == f"{whose} PATCH {path} Bearer t body"


async def test_the_groups_of_both_are_asked_for_in_the_plain_form(front: Setup) -> None:
    url, session, _ = front
    newer = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
    async with session.get(url + "/apis", headers=newer) as answer:
        groups = (await answer.json())["groups"]
    assert groups == [
        {"name": "apps", "accept": ["application/json"]},
        {"name": "cliproxy.io", "of": "newest"},
    ]


async def test_what_a_server_compressed_is_passed_on_as_it_is(front: Setup) -> None:
    url, session, _ = front
    async with session.get(url + "/apis/cliproxy.io/long", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert await answer.text() == "long " * 1000
    async with session.get(url + "/apis/cliproxy.io/long", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.text() == "long " * 1000


async def test_a_watch_streams_and_half_an_answer_is_told_from_a_whole_one(front: Setup) -> None:
    url, session, _ = front
    async with session.get(url + "/apis/cliproxy.io/v1alpha1/llmproviders?watch=true") as answer:
        assert await answer.read() == b'{"type": "ADDED"}\n'
    with pytest.raises(aiohttp.ClientError):
        async with session.get(url + "/apis/cliproxy.io/cut") as answer:
            await answer.read()


async def test_a_server_that_is_gone_is_named(front: Setup) -> None:
    url, session, newest = front
    await newest.close()
    async with session.get(url + "/apis/cliproxy.io/v1alpha1/llmproviders?limit=1") as answer:
        assert answer.status == 502
        assert "/apis/cliproxy.io/v1alpha1/llmproviders: " in await answer.text()
