"""The webhook port: HTTPS with the certificate that stands in a Secret, taken anew while running.

Who puts it there is left to `authority.py`, or to cert-manager. Without one nothing listens: the API server
then goes by its failurePolicy, and readiness says what is missing.
"""

import asyncio
import base64
import binascii
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from cliproxy_operator import x509
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.kinds import SECRET
from cliproxy_operator.kube import ApiError, Kube
from cliproxy_operator.metrics import Metrics
from cliproxy_operator.settings_webhooks import Certificate, WebhookSettings
from cliproxy_operator.tasks import Tasks

log = logging.getLogger(__name__)

FIRST_LOOK_S: Final = 0.5
LOOK_S: Final = 30.0
"""Between looks at a Secret that is in use: renewal is due days before the end."""
KEEP_ALIVE_S: Final = 120
"""Longer than the API server keeps an idle connection (90 s): it ends them, and no question meets the end."""
CONNECTIONS: Final = 1000
"""Far more than the API servers open: what is above is refused, and a pod would start without its sidecar."""
BACKLOG: Final = 128
END_S: Final = 0.5
"""How long answers under way may take when we stop."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: it ends when its task does."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


class Serving:
    """One replica's webhook port."""

    def __init__(
        self, *, kube: Kube, settings: WebhookSettings, namespace: str, metrics: Metrics, tasks: Tasks
    ) -> None:
        """`namespace` is where the Secret stands."""
        self._kube = kube
        self._settings = settings
        self._namespace = namespace
        self._metrics = metrics
        self._tasks = tasks
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded: tuple[str, Hidden] | None = None
        self.problem = f"webhooks: Secret {settings.secret} has not been read yet"
        """Why the webhooks are not served; empty: they are."""

    async def run(self, app: FastAPI) -> None:
        """Serve as soon as there is a certificate, until cancelled."""
        while not await self._look():  # noqa: ASYNC110 -- what is awaited happens in the API server
            await asyncio.sleep(FIRST_LOOK_S)
        config = uvicorn.Config(
            app,
            host=self._settings.host,
            port=self._settings.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=0,
            timeout_keep_alive=KEEP_ALIVE_S,
            limit_concurrency=CONNECTIONS,
            server_header=False,
        )
        config.load()
        config.ssl = self._context
        with self._listen() as listener:
            server = _Server(config)
            serving = self._tasks.spawn(server.serve(sockets=[listener]), "webhook server")
            self.problem = ""
            try:
                while not serving.done():
                    await asyncio.wait({serving}, timeout=LOOK_S)
                    await self._look()
            finally:
                self.problem = "webhooks: the server has ended"
                server.should_exit = True
                await asyncio.wait({serving}, timeout=END_S)
                for left in getattr(server, "servers", ()):  # it was cancelled before it could close them
                    left.close()

    def _listen(self) -> socket.socket:
        """Open the port ourselves: uvicorn would end the process when it is taken."""
        host, port = self._settings.host, self._settings.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as error:
            self.problem = f"webhooks: {host}:{port} cannot be listened on: {error.strerror}"
            raise

    async def _look(self) -> bool:
        """Take the certificate in the Secret if it is another; returns whether there is one to serve with."""
        where = f"webhooks: Secret {self._namespace}/{self._settings.secret}"
        try:
            raw = await self._kube.get(SECRET, self._namespace, self._settings.secret)
        except ApiError as error:
            return self._without(f"{where} cannot be read: {error}")
        if raw is None:
            return self._without(f"{where} is not there yet{self._whose()}")
        pair = _text(raw, "tls.crt"), Hidden(_text(raw, "tls.key"))
        if pair == self._loaded:
            return True
        if not pair[0] or not pair[1].reveal():
            return self._without(f"{where} lacks tls.crt or tls.key")
        try:
            _load(self._context, *pair)
            ends = x509.life_of(pair[0]).ends
        except (ssl.SSLError, OSError, ValueError) as error:
            return self._without(f"{where} holds no usable pair: {error}")
        self._loaded = pair
        self._metrics.webhook_certificate_ends.set(ends.timestamp())
        log.info("webhook certificate taken", extra={"until": ends.isoformat()})
        return True

    def _whose(self) -> str:
        """Say what to look at when the Secret stays away."""
        if self._settings.certificate is Certificate.OWN:
            return ""  # the leader is about to write it; if it cannot, its log says why
        return (
            ": somebody else is to write it; look at cert-manager's Certificate, or let the operator make it"
            " (chart: webhooks.certManager.enabled=false)"
        )

    def _without(self, problem: str) -> bool:
        """Serve on with what there was, if there was anything."""
        if self._loaded is None and self.problem != problem:
            self.problem = problem
        log.log(logging.WARNING if self._loaded else logging.INFO, "no new webhook certificate: %s", problem)
        return self._loaded is not None


def _text(raw: Mapping[str, Any], key: str) -> str:
    try:
        return base64.b64decode((raw.get("data") or {}).get(key) or "", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, TypeError):
        return ""


def _load(context: ssl.SSLContext, certificate: str, key: Hidden) -> None:
    """Load a pair by way of an anonymous file: OpenSSL reads files only, and the key shall touch no disk."""
    with os.fdopen(os.memfd_create("pair"), "wb") as file:
        file.write(f"{certificate}\n{key.reveal()}\n".encode("ascii"))
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
