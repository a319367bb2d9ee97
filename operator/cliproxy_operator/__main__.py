"""The operator's process: settings, one event loop, the HTTP server, signals. All else is `wiring.py`'s."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn
import uvloop

from cliproxy_api.version import __version__
from cliproxy_operator import logs
from cliproxy_operator.api import make_app
from cliproxy_operator.clock import Clock
from cliproxy_operator.kubeconfig import Access, ConfigError, find_access
from cliproxy_operator.settings import Settings, SettingsError, read_settings, usage
from cliproxy_operator.settings_webhooks import WebhookSettings, read_webhook_settings, webhook_usage
from cliproxy_operator.webhooks import Webhooks
from cliproxy_operator.wiring import Operator

log = logging.getLogger("cliproxy_operator")

STOP_TIMEOUT_S: Final = 0.9
"""Kubernetes waits longer, but a successor waits for us."""
BAD_SETTINGS: Final = 2
GC_THRESHOLDS: Final = (10_000, 20, 20)
"""Python's own are (700, 10, 10): a burst of pushes would be interrupted for a look every other link."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: we stop it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def run(settings: Settings, webhooks: WebhookSettings | None, access: Access) -> None:
    """Run until SIGTERM or SIGINT; further ones change nothing."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    operator = Operator(settings=settings, access=access, clock=Clock())
    config = uvicorn.Config(
        make_app(operator),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=0,
        limit_concurrency=200,
        server_header=False,
    )
    server = _Server(config)
    serving = operator.replica.tasks.spawn(server.serve(), "http server")
    operator.start()
    if webhooks is not None:
        Webhooks(operator, webhooks).start()
    log.info("started", extra={"version": __version__, "api_server": access.server, "port": settings.port})
    waiting = operator.replica.tasks.spawn(stopping.wait(), "signals")
    await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    server.should_exit = True
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await operator.stop()
    except TimeoutError:
        log.warning("not everything ended in time")
    if not stopping.is_set():
        raise SystemExit(1)  # the port is taken; uvicorn has said so


def main() -> None:
    """Read the environment and run."""
    if "--help" in sys.argv[1:] or "-h" in sys.argv[1:]:
        print(f"{usage()}\n{webhook_usage()}")  # noqa: T201 -- that is what --help is for
        return
    try:
        settings, access = read_settings(os.environ), find_access(os.environ)
        webhooks = read_webhook_settings(os.environ)
    except (SettingsError, ConfigError) as error:
        print(f"cliproxy-operator cannot start:\n{error}", file=sys.stderr)  # noqa: T201 -- before logging
        raise SystemExit(BAD_SETTINGS) from None
    logs.set_up(settings.log_level)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings, webhooks, access))
    logging.shutdown()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
