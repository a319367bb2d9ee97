"""A program that runs the sidecar and, at its end, says what held its loop up, as JSON.

    python -m gateways.watched REPORT_FILE

Every callback of the loop is timed on two clocks: CPU time of the thread, and the wall. A callback that takes
long by the first is the sidecar's own; one that takes long by the second only was interrupted by the machine,
of which the kernel's figure for waiting in the run queue says how much was other processes' turn. Watching
costs some microseconds per callback, so rates are lower than in the race.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from cliproxy_sidecar import __main__ as program
from cliproxy_sidecar.proxy.h1.connection import Connection
from cliproxy_sidecar.proxy.server.connection import CallerConnection
from gateways.percentiles import percentile_us
from gateways.stalls import LONG_S, Collection, Held, Stall

_MAX_KEPT: Final = 200_000


class Watch:
    """What has been seen."""

    def __init__(self) -> None:
        self.cpu_s: list[float] = []
        self.stalls: list[Stall] = []
        self.collections: list[Collection] = []
        self._collecting_s = 0.0
        self._depth = 0
        self._scheduled = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same callback, watched."""

        def watched(*arguments: Any, **named: Any) -> Any:
            if self._depth:
                return call(*arguments, **named)
            self._depth += 1
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
                self._depth -= 1
                if len(self.cpu_s) < _MAX_KEPT:
                    self.cpu_s.append(cpu)
                if wall > LONG_S:
                    self.stalls.append(Stall(name=name, wall_ms=wall * 1000, cpu_ms=cpu * 1000))

        return watched

    def collector(self, phase: str, info: dict[str, int]) -> None:
        """Time the garbage collector (one of `gc.callbacks`)."""
        if phase == "start":
            self._collecting_s = time.thread_time()
        else:
            took_ms = (time.thread_time() - self._collecting_s) * 1000
            self.collections.append(Collection(generation=info["generation"], cpu_ms=took_ms))

    def waited_s(self) -> float:
        """Return how long the thread has stood in the run queue since its start."""
        return int(self._scheduled.read_text("ascii").split()[1]) / 1e9

    def told(self) -> Held:
        """Return all of it."""
        took = sorted(self.cpu_s)
        return Held(
            callbacks=len(took),
            cpu_p50_us=percentile_us(took, 50),
            cpu_p99_us=percentile_us(took, 99),
            cpu_max_us=took[-1] * 1e6 if took else 0.0,
            waited_s=self.waited_s(),
            stalls=self.stalls,
            collections=self.collections,
        )


class Loop(uvloop.Loop):
    """uvloop with watched timers."""

    watch: Watch

    def call_later(self, delay: float, callback: Any, *arguments: Any, context: Any = None) -> Any:  # type: ignore[override]
        """Do as the base does."""
        timed = self.watch.timed(_name(callback), callback)
        return super().call_later(delay, timed, *arguments, context=context)

    def call_at(self, when: float, callback: Any, *arguments: Any, context: Any = None) -> Any:  # type: ignore[override]
        """Do as the base does."""
        timed = self.watch.timed(_name(callback), callback)
        return super().call_at(when, timed, *arguments, context=context)

    def call_soon(self, callback: Any, *arguments: Any, context: Any = None) -> Any:  # type: ignore[override]
        """Do as the base does."""
        return super().call_soon(self.watch.timed(_name(callback), callback), *arguments, context=context)


def _name(callback: Any) -> str:
    return str(getattr(callback, "__qualname__", type(callback).__name__))


def main(report: str) -> int:
    """Run the sidecar, then write."""
    watch = Loop.watch = Watch()
    for protocol in (CallerConnection, Connection):
        name = f"{protocol.__name__}.data_received"
        protocol.data_received = watch.timed(name, protocol.data_received)  # type: ignore[method-assign]
    gc.callbacks.append(watch.collector)
    uvloop.new_event_loop = Loop
    sys.argv = sys.argv[:1]
    code = program.main()
    Path(report).write_bytes(msgspec.json.encode(watch.told()))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
