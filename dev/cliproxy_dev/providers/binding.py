"""Sockets bound but not listening: a port that is ours and refuses connections.

Linux answers a connection to a bound, non-listening port with a reset, which is what a provider that is down
looks like; another process cannot take the port meanwhile. Listening is left to `server.py`.
"""

import asyncio
import socket

REBIND_TURNS = 100
REBIND_PAUSE_S = 0.01
"""A listener's port is free as soon as its loop has closed it; uvloop does so a turn later than asyncio."""


def bound(host: str, port: int) -> socket.socket:
    """Return a TCP socket bound to `host` and `port` (0: any free one); raises OSError if it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)  # noqa: FBT003 -- the standard library takes it so
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


async def rebound(host: str, port: int) -> socket.socket:
    """Bind a port whose listener is being closed; raises OSError if it stays taken for a second."""
    for _ in range(REBIND_TURNS):
        try:
            return bound(host, port)
        except OSError:
            await asyncio.sleep(REBIND_PAUSE_S)
    return bound(host, port)
