"""What holds for every test: one rule about event loops; and Helm, which several folders use.

Everything else stands beside the tests that need it.
"""

from __future__ import annotations

import asyncio

import pytest

from support.helm import Helm, obtain


def pytest_configure() -> None:
    """Say that the main thread has no event loop yet.

    Otherwise pytest-asyncio's question for the current one makes one up on Python 3.11, which nobody closes;
    the warning about it then fails whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Return Helm; the test is skipped where there is none and none can be had."""
    return obtain(tmp_path_factory.mktemp("helm"))
