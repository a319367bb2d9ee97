"""What the API server asks of a kubelet when somebody wants a pod's log: HTTPS on loopback, found by a Node.

Knows `kubectl logs` of one container and `--tail`; following is left to real nodes, commands to `execs`. API
servers do not check a kubelet's certificate unless told to, so it is one that nobody vouches for.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import tempfile
from asyncio.trsock import TransportSocket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cliproxy_dev.clock import utc_now
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.nodeagent.execs import Execs

ADDRESS = "127.0.0.1"
NOT_FOUND = 404
UNREGISTER_S = 2.0
CLOSED = -1
HANG_UP_LOOKS = 200
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LogPath = Callable[[str, str, str], Path]
"""Namespace, pod and container to the file."""


@contextlib.asynccontextmanager
async def served(log_path: LogPath, execs: Execs) -> AsyncIterator[int]:
    """Answer requests for logs, and for commands; yields the port."""
    seen: set[TransportSocket] = set()

    async def answer(request: web.Request) -> web.StreamResponse:
        words = (request.match_info[part] for part in ("namespace", "pod", "container"))
        path = log_path(*words)
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        wanted = request.query.get("tailLines")
        body = b"".join(lines[max(0, len(lines) - int(wanted)) :] if wanted else lines)
        return web.Response(body=body, content_type="text/plain")

    @web.middleware
    async def remember(request: web.Request, handler: Handler) -> web.StreamResponse:
        seen.add(request.get_extra_info("socket"))
        return await handler(request)

    app = web.Application(middlewares=[remember])
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", answer)
    execs.serve(app.router)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, ADDRESS, 0, ssl_context=_tls()).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
        await _hang_up(seen)


async def _hang_up(sockets: Iterable[TransportSocket]) -> None:
    """End connections now: TLS would wait for the API server's farewell, longer than this loop may live."""
    left = [one for one in sockets if one.fileno() != CLOSED]
    for one in left:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
    for _ in range(HANG_UP_LOOKS):
        if all(one.fileno() == CLOSED for one in left):
            return
        await asyncio.sleep(0.01)


async def register(api: KubeApi, name: str, port: int) -> None:
    """Tell the API server where the node's logs are."""
    try:
        await api.create("/api/v1/nodes", {"metadata": {"name": name}})
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
    status = {
        "addresses": [{"type": "InternalIP", "address": ADDRESS}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    await api.merge_patch(f"/api/v1/nodes/{name}/status", {"status": status})


async def unregister(api: KubeApi, name: str) -> None:
    """Take the Node away again; where the API server is away it stays, and nobody is the worse for it."""
    try:
        async with asyncio.timeout(UNREGISTER_S):
            await api.delete(f"/api/v1/nodes/{name}")
    except (aiohttp.ClientError, OSError):
        return
    except ApiError as error:
        if error.status != NOT_FOUND:
            raise


def _tls() -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "local node agent")])
    now = utc_now()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(certificate.public_bytes(serialization.Encoding.PEM))
        pair.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        pair.flush()
        context.load_cert_chain(pair.name)
    return context
