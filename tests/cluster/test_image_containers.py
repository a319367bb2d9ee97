"""Each image by itself, as any engine runs it: health, no shell, no compiler, and the end on SIGTERM."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.images.build import Image
from support.cluster import eventually
from support.hotpath import hot_modules
from support.played import COMPILED_IMAGES, Container, Podman, write_kubeconfig

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.environ.get("TEST_IMAGES") != "1", reason="make test-images builds and plays them"),
]
BUILDS = re.compile(r"(?:.*-)?(?:gcc|g\+\+|cc|cpp|as|ld|clang|make)(?:[-.][\d.]+)?")
"""Names of programs that make machine code."""
AWAY = "/etc/kubeconfig"
Start = Callable[[str], Container]


@pytest.fixture
def start(images: dict[str, Image], tmp_path: Path) -> Iterator[Start]:
    try:
        podman = Podman()
    except CannotObtain as error:
        pytest.skip(str(error))
    words = {
        "sidecar": ["--env=CLIPROXY_STANDALONE=1"],
        "operator": [f"--volume={write_kubeconfig(tmp_path)}:{AWAY}:ro", f"--env=KUBECONFIG={AWAY}"],
    }
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(podman.container(images[name], *words[name]))


async def until(container: Container, *, healthy: bool) -> None:
    async def look() -> bool:
        return container.healthy() is healthy

    await eventually(look, within_s=90, what=f"healthy is {healthy}: {container.log()[-1000:]}")


@pytest.mark.parametrize("name", ["operator", "sidecar"])
async def test_its_health_check_tells_the_living_from_the_frozen(start: Start, name: str) -> None:
    container = start(name)
    await until(container, healthy=True)
    assert container.state("Health.Status") == "healthy"
    assert not container.has_shell()

    container.freeze()

    async def given_up() -> bool:
        assert not container.healthy()
        return container.state("Health.Status") == "unhealthy"

    # Failures count from the image's start period on, and three make it so.
    await eventually(given_up, within_s=90, what="the engine calls it unhealthy")


@pytest.mark.parametrize("name", ["operator", "sidecar"])
async def test_as_process_1_it_ends_well_on_sigterm(start: Start, name: str) -> None:
    container = start(name)
    await until(container, healthy=True)

    container.terminate()

    assert container.exit_code() == "0", container.log()[-2000:]
    assert container.state("OOMKilled") == "false"


async def test_the_hot_path_runs_as_machine_code_if_that_was_asked_for(start: Start) -> None:
    container = start("sidecar")
    await until(container, healthy=True)

    # Compiled modules begin one another without the import system, so that only some have their own file in
    # memory; the machine code of all is in one library.
    shared = [path for path in container.libraries() if "/cliproxy_sidecar_hot__mypyc." in path]
    assert len(shared) == (1 if COMPILED_IMAGES else 0)
    modules = [path.removeprefix("sidecar/").removesuffix(".py").replace("/", ".") for path in hot_modules()]
    suffixes = [Path(file).suffix for file in container.files_of(modules)]
    assert suffixes == [".so" if COMPILED_IMAGES else ".py"] * len(modules)


@pytest.mark.parametrize("name", ["operator", "sidecar"])
def test_nothing_that_builds_is_in_the_image(start: Start, name: str) -> None:
    root = start(name).process() / "root"
    programs = {path.name for path in (root / "usr/bin").iterdir()}
    assert "python3" in programs
    assert [one for one in sorted(programs) if BUILDS.fullmatch(one)] == []
    assert list(root.glob("usr/include/python3*")) == []
    packages = {path.name for path in next(root.glob("app/lib/python3*/site-packages")).iterdir()}
    assert "msgspec" in packages
    assert {"mypy", "mypyc", "setuptools", "hatchling", "pip"} & packages == set()
    assert list(root.glob("app/**/*.c")) == []
