"""A real Redis for tests: found, or obtained as `make test` does."""

import os
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import Unavailable
from cliproxy_dev.controlplane.find import find as find_control_plane
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.debianprogram import Program, prepare
from cliproxy_dev.redisserver import REDIS

TLS = Path(__file__).parent / "tls"


@pytest.fixture(scope="session")
def redis_server() -> Program:
    """redis-server; skipped only where there is no kube-apiserver either, as on a machine without network."""
    try:
        return prepare(REDIS, os.environ, Progress())
    except Unavailable as error:
        if find_control_plane(os.environ) is None:
            pytest.skip(str(error))
        raise
