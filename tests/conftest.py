"""What holds for every test: event loops, the order of tests, and Helm, which several folders use.

Everything else stands beside the tests that need it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.helm import Helm, obtain

CLUSTER = Path(__file__).parent / "cluster"


def pytest_configure() -> None:
    """Say that the main thread has no event loop yet.

    Otherwise pytest-asyncio's question for the current one makes one up on Python 3.11, which nobody closes;
    the warning about it then fails whichever test runs when it is collected.
    """
    asyncio.set_event_loop(None)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of a real API server first: they are the long ones, and workers should end together."""
    items.sort(key=lambda item: not item.path.is_relative_to(CLUSTER))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how to have the same order again; `-q` hides the header that says so."""
    terminalreporter.write_line(f"in the order of --randomly-seed={config.getoption('randomly_seed')}")


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Return Helm; the test is skipped where there is none and none can be had."""
    return obtain(tmp_path_factory.mktemp("helm"))
