"""The stand-in bases: small Debians with their own Python, as no registry can be asked here.

The one has what the Dockerfiles ask of a base: Python 3.11 or later, pip, CA certificates. The other has a C
compiler and Python's headers as well, for the stage that compiles the hot path (ADR 24); nothing of it is in
an image. Made once; which Debian it is, is left to `system`, and what is built on it to `build`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.images import system
from cliproxy_dev.images.engine import Engine

RECIPE: Final = 2
"""Counted up when what is done here changes: a base that was made otherwise is not taken."""
PYTHON: Final = "python3"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Base:
    """What is built on, or with."""

    name: str
    included: str
    """Debian's packages, besides the least."""


PLAIN: Final = Base("localhost/cliproxy-base", "python3,python3-pip,ca-certificates")
BUILDER: Final = Base("localhost/cliproxy-builder", f"{PLAIN.included},gcc,libc6-dev,python3-dev")


def ensure(engine: Engine, base: Base, progress: Progress) -> str:
    """Return the base's tag, made unless it is there. Raises `CannotObtain`, `ImagesFailed`."""
    pattern = f"--filter=reference={base.name}:*-{RECIPE}"
    if known := engine.ask("buildah", "images", "--format={{.Name}}:{{.Tag}}", pattern, check=False):
        return known.splitlines()[0]
    with (
        progress.step(f"making the image {base.name}: Debian with {base.included} (debootstrap)"),
        tempfile.TemporaryDirectory(dir=engine.root, prefix="base-") as name,
    ):
        root = Path(name) / "root"
        tag = f"{base.name}:{system.make(engine, root, include=base.included, progress=progress)}-{RECIPE}"
        container = engine.ask("buildah", "from", "scratch")
        engine.work("buildah", "add", "--quiet", container, str(root), "/")
        engine.work("buildah", "config", "--env", f"PATH={PATH}", container)
        engine.work("buildah", "commit", "--rm", f"--signature-policy={engine.policy}", container, tag)
    return tag
