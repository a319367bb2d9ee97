"""A program that sends requests at a fixed rate and says how long they took, as JSON.

    python -m gateways.pacer PORT REQUEST_FILE CONNECTIONS SECONDS RATE_PER_S

Requests fall due at random (Poisson) instants, whether or not earlier ones were answered, and their latency
counts from then: a gateway that stalls pays for all that had to wait. One thread over select(2), whose
time-out is in microseconds; event loops wake by the millisecond and would send in bursts.
"""

import collections
import random
import select
import socket
import sys
from pathlib import Path
from typing import Final

import msgspec

from cliproxy_dev.clock import now_s
from gateways.answers import Answer
from gateways.figures import Paced
from gateways.percentiles import percentile_us

_READ_BYTES: Final = 65536
_WARM_UP: Final = 0.2
"""Share of the time at the beginning that does not count."""
_DRAIN_S: Final = 2.0
_OK: Final = 200


class Pacer:
    """All connections of one run."""

    def __init__(self, port: int, request: bytes, connections: int) -> None:
        self._port, self._request = port, request
        self._idle: collections.deque[socket.socket] = collections.deque()
        """The longest idle first: none is left alone until the gateway closes it."""
        self._busy: dict[socket.socket, tuple[float, Answer]] = {}
        self._due: collections.deque[float] = collections.deque()
        self._took: list[tuple[float, float]] = []
        self._late: list[float] = []
        """How late requests went out for which there was a connection: our own doing, or the machine's."""
        self._failed = 0
        for _ in range(connections):
            self._connect()

    def run(self, seconds: float, rate_per_s: float) -> Paced:
        """Send for so long, wait for the answers, and return what was measured."""
        chance = random.Random(8317)  # noqa: S311 -- the same instants for every contender
        begin_s = now_s()
        end_s = begin_s + seconds
        next_s = begin_s + chance.expovariate(rate_per_s)
        while (at_s := now_s()) < end_s or ((self._busy or self._due) and at_s < end_s + _DRAIN_S):
            while next_s <= at_s and next_s < end_s:
                if len(self._due) < len(self._idle):
                    self._late.append(at_s - next_s)
                self._due.append(next_s)
                next_s += chance.expovariate(rate_per_s)
            while self._due and self._idle:
                self._send(self._due.popleft())
            wake_s = next_s if next_s < end_s else max(at_s, end_s) + 0.05
            self._receive(max(0.0, wake_s - now_s()))
        counted_from_s = begin_s + seconds * _WARM_UP
        took = sorted(took_s for due_s, took_s in self._took if due_s >= counted_from_s)
        return Paced(
            rate_per_s=rate_per_s,
            p50_us=percentile_us(took, 50),
            p99_us=percentile_us(took, 99),
            sent_late_p99_us=percentile_us(sorted(self._late), 99),
            failed=self._failed,
            late=len(self._busy) + len(self._due),
        )

    def _connect(self) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._idle.append(connection)

    def _send(self, due_s: float) -> None:
        connection = self._idle.popleft()
        self._busy[connection] = (due_s, Answer())
        try:
            connection.sendall(self._request)
        except OSError:
            self._lose(connection)

    def _receive(self, timeout_s: float) -> None:
        readable, _, _ = select.select(self._busy, (), (), timeout_s)
        for connection in readable:
            due_s, answer = self._busy[connection]
            try:
                data = connection.recv(_READ_BYTES)
            except OSError:
                data = b""
            if not data:
                self._lose(connection)
            elif answer.feed(data):
                del self._busy[connection]
                self._idle.append(connection)
                self._took.append((due_s, now_s() - due_s))
                self._failed += answer.status != _OK

    def _lose(self, connection: socket.socket) -> None:
        del self._busy[connection]
        connection.close()
        self._failed += 1
        self._connect()


def main(port: str, request_file: str, connections: str, seconds: str, rate_per_s: str) -> None:
    """Run and print."""
    pacer = Pacer(int(port), Path(request_file).read_bytes(), int(connections))
    print(msgspec.json.encode(pacer.run(float(seconds), float(rate_per_s))).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
