"""Find free TCP ports on loopback.

A port is free when asked; another program may take it before use. Who starts something on it retries.
"""

from __future__ import annotations

import contextlib
import socket


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Return `count` different ports that nobody listens on at `address`."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket())
            listener.bind((address, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports
