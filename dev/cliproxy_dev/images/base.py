"""The stand-in base: Debian's smallest system with its own Python, as no registry can be asked here.

It has what the Dockerfiles ask of a base: Python 3.11 or later, pip, CA certificates. Made once from the
machine's own Debian mirror; what is built on it is left to `build`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.debian import APT_DIR, check_machine, read_sources
from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.sources import derive
from cliproxy_dev.images.engine import NEEDED_BYTES, Engine

NAME: Final = "localhost/cliproxy-base:debian"
PYTHON: Final = "python3"
INCLUDED: Final = "python3,python3-pip,ca-certificates"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOT_KEPT: Final = ("var/cache/apt", "var/lib/apt/lists", "var/log")


def ensure(engine: Engine, progress: Progress) -> None:
    """Make the base unless it is there. Raises `CannotObtain`, `ImagesFailed`."""
    if engine.ask("buildah", "images", "--quiet", NAME, check=False):
        return
    with (
        progress.step("making the base image: Debian with Python (debootstrap)"),
        tempfile.TemporaryDirectory(dir=engine.root, prefix="base-") as name,
    ):
        root = Path(name) / "root"
        codename = check_machine(engine.root, needed_bytes=NEEDED_BYTES, what="images")
        mirror = _mirror(codename)
        engine.work("debootstrap", "--variant=minbase", f"--include={INCLUDED}", codename, str(root), mirror)
        for place in NOT_KEPT:
            shutil.rmtree(root / place, ignore_errors=True)
            (root / place).mkdir()
        container = engine.ask("buildah", "from", "scratch")
        engine.work("buildah", "add", "--quiet", container, str(root), "/")
        engine.work("buildah", "config", "--env", f"PATH={PATH}", container)
        engine.work("buildah", "commit", "--rm", f"--signature-policy={engine.policy}", container, NAME)


def _mirror(codename: str) -> str:
    """Return where this machine gets its own packages."""
    for line in derive(read_sources(APT_DIR), codename).splitlines():
        if line.startswith("URIs: "):
            return line.removeprefix("URIs: ").split()[0]
    raise CannotObtain(f"images: {APT_DIR} lists no Debian {codename} mirror")
