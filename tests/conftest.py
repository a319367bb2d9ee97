"""What holds for every test: one rule about event loops.

Everything else stands beside the tests that need it.
"""

from __future__ import annotations

import asyncio


def pytest_configure() -> None:
    """Say that the main thread has no event loop yet.

    Otherwise pytest-asyncio's question for the current one makes one up on Python 3.11, which nobody closes;
    the warning about it then fails whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)
