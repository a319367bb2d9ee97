"""Runs the sidecar: reads the environment, starts the loop, drains on SIGTERM or SIGINT.

What runs is put together by `wiring`. Exits 0 after a drain, 2 when the environment or a port is at fault.
"""

import asyncio
import gc
import os
import signal
import sys
from typing import Final

import uvloop

from cliproxy_api.vocabulary import LogLevel
from cliproxy_sidecar.runtime.logs import Logs
from cliproxy_sidecar.servers import PortTaken
from cliproxy_sidecar.settings import Settings, SettingsError, help_text, read_settings
from cliproxy_sidecar.wiring import Sidecar

GC_THRESHOLDS: Final = (10_000, 20, 20)
"""Python's own are (700, 10, 10): several looks per 1,000 requests at what is youngest, for nothing."""


def main() -> int:
    """Run until a signal; return the exit code."""
    if len(sys.argv) > 1:
        sys.stdout.write(help_text())
        return 0 if sys.argv[1] in ("--help", "-h") else 2
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"cliproxy-sidecar: {error}\n")
        return 2
    logs = Logs(sys.stdout.buffer, level=settings.log_level or LogLevel.INFO)
    logs.install()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, logs))
    except PortTaken as error:
        sys.stderr.write(f"cliproxy-sidecar: {error.strerror}\n")
        return 2
    return 0


async def serve(settings: Settings, logs: Logs) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    sidecar = Sidecar(settings, logs)
    await sidecar.start()
    # What was imported stays for ever: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    # Requests leave no cycles behind, so a look for some is worth it now and then only.
    gc.set_threshold(*GC_THRESHOLDS)
    await ended.wait()
    await sidecar.stop()


if __name__ == "__main__":
    sys.exit(main())
