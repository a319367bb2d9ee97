"""A small API server and a kubeconfig that leads to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.commandline import StubApi, stub_api


@pytest.fixture
def api() -> Iterator[StubApi]:
    with stub_api() as served:
        yield served


@pytest.fixture
def kubeconfig(api: StubApi, tmp_path: Path) -> Path:
    return api.kubeconfig(tmp_path)
