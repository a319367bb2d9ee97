"""The stand-in base: a small Debian with its own Python, as no registry can be asked here.

It has what the Dockerfiles ask of a base: Python 3.11 or later, pip, CA certificates. Made once; which Debian
it is, is left to `system`, and what is built on it to `build`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.images import system
from cliproxy_dev.images.engine import Engine

NAME: Final = "localhost/cliproxy-base"
RECIPE: Final = 2
"""Counted up when what is done here changes: a base that was made otherwise is not taken."""
PYTHON: Final = "python3"
INCLUDED: Final = "python3,python3-pip,ca-certificates"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def ensure(engine: Engine, progress: Progress) -> str:
    """Return the base's tag, made unless it is there. Raises `CannotObtain`, `ImagesFailed`."""
    pattern = f"--filter=reference={NAME}:*-{RECIPE}"
    if known := engine.ask("buildah", "images", "--format={{.Name}}:{{.Tag}}", pattern, check=False):
        return known.splitlines()[0]
    with (
        progress.step("making the base image: Debian with Python (debootstrap)"),
        tempfile.TemporaryDirectory(dir=engine.root, prefix="base-") as name,
    ):
        root = Path(name) / "root"
        tag = f"{NAME}:{system.make(engine, root, include=INCLUDED, progress=progress)}-{RECIPE}"
        container = engine.ask("buildah", "from", "scratch")
        engine.work("buildah", "add", "--quiet", container, str(root), "/")
        engine.work("buildah", "config", "--env", f"PATH={PATH}", container)
        engine.work("buildah", "commit", "--rm", f"--signature-policy={engine.policy}", container, tag)
    return tag
