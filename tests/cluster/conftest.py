"""Fixtures of the tests on a real API server: one control plane per session, one namespace per test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import CannotObtain, wants_existing_cluster
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.images.build import Image, build_all
from cliproxy_dev.newest import build
from cliproxy_dev.newest.plane import CHOICE, chosen
from support.cluster import LoopThread, create_namespace, install_crds, remove_namespace
from support.played import COMPILED_IMAGES

HERE = Path(__file__).parent


OF_THEIR_OWN = ("running_world", "running_field", "running_trial", "DEMO")
"""Names by which a module of this folder shows that it starts whole worlds, each with a control plane."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, so that `-m "not cluster"` leaves it out."""
    theirs = wants_existing_cluster(os.environ)
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.cluster)
            if theirs and any(hasattr(getattr(item, "module", None), name) for name in OF_THEIR_OWN):
                item.add_marker(pytest.mark.skip("runs on a control plane of its own, not on yours"))


@pytest.fixture(scope="session")
def fixture_loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def control_plane(
    fixture_loop: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """Run etcd and kube-apiserver for the whole session; fails with what to do when they cannot be had.

    With CLIPROXY_PLANE=newest (`make test-newest`) custom resources are served by the newest Kubernetes.
    """
    if os.environ.get(CHOICE):
        try:
            build.prepare(os.environ, Progress(sys.__stderr__))
        except CannotObtain as error:
            pytest.skip(str(error).splitlines()[0])
    plane = chosen(tmp_path_factory.mktemp("control-plane"), os.environ)
    fixture_loop.call(plane.start())
    yield plane
    fixture_loop.call(plane.stop())


@pytest.fixture(scope="session")
def crds(control_plane: ControlPlane, fixture_loop: LoopThread) -> list[str]:
    """Install our CRDs, once; the value is their names."""
    return fixture_loop.call(install_crds(control_plane))


@pytest.fixture(scope="session")
def images() -> dict[str, Image]:
    """Both images, built if need be: minutes. The sidecar's is compiled if TEST_IMAGES_COMPILED says so."""
    try:
        return build_all(os.environ, Progress(sys.__stderr__), compiled=COMPILED_IMAGES)
    except CannotObtain as error:
        pytest.skip(str(error))


@pytest.fixture
def namespace(control_plane: ControlPlane, fixture_loop: LoopThread) -> Iterator[str]:
    """A fresh namespace, removed with everything in it afterwards."""
    name = fixture_loop.call(create_namespace(control_plane))
    yield name
    fixture_loop.call(remove_namespace(control_plane, name))
