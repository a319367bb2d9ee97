"""What the API server asks of a kubelet when somebody wants a pod's log: HTTPS on loopback, found by a Node.

Knows `kubectl logs` of one container and `--tail`; following is left to real nodes, commands to `execs`. API
servers do not check a kubelet's certificate unless told to, so it is one that nobody vouches for.
"""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cliproxy_dev.clock import utc_now
from cliproxy_dev.kube import ApiError, KubeApi
from cliproxy_dev.nodeagent.execs import Execs

ADDRESS = "127.0.0.1"
NOT_FOUND = 404
LogPath = Callable[[str, str, str], Path]
"""Namespace, pod and container to the file."""


async def serve(log_path: LogPath, execs: Execs) -> tuple[web.AppRunner, int]:
    """Answer requests for logs, and for commands; return what to clean up and the port."""

    async def answer(request: web.Request) -> web.StreamResponse:
        words = (request.match_info[part] for part in ("namespace", "pod", "container"))
        path = log_path(*words)
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        wanted = request.query.get("tailLines")
        body = b"".join(lines[max(0, len(lines) - int(wanted)) :] if wanted else lines)
        return web.Response(body=body, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", answer)
    execs.serve(app.router)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, ADDRESS, 0, ssl_context=_tls())
    await site.start()
    return runner, int(runner.addresses[0][1])


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
    """Take the Node away again."""
    try:
        await api.delete(f"/api/v1/nodes/{name}")
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
