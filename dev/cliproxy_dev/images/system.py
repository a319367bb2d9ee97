"""A Debian of one's own in a folder: the release that the images' base is, from the machine's own mirror.

What is done with the folder is left to `base` and `suite`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.debian import APT_DIR, check_machine, read_sources
from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.sources import derive
from cliproxy_dev.images.engine import NEEDED_BYTES, Engine, ImagesFailed

WANTED: Final = "trixie"
"""The Debian of the base that the Dockerfiles name: the same C library, and Python 3.13 as well."""
NOT_SERVED: Final = ("Failed getting release file", "No such script")
"""What debootstrap says of a release that the mirror, or debootstrap itself, does not know."""
NOT_KEPT: Final = ("var/cache/apt", "var/lib/apt/lists", "var/log")


def make(engine: Engine, into: Path, *, include: str, progress: Progress) -> str:
    """Lay out a minimal system with these packages in the new folder; return the release's name.

    It is `WANTED`, or the machine's own release where the mirror has no other.

    Raises:
        CannotObtain, ImagesFailed: there is no mirror, or packages cannot be fetched.

    """
    own = check_machine(engine.root, needed_bytes=NEEDED_BYTES, what="images")
    mirror = _mirror(own)
    try:
        _debootstrap(engine, into, include, WANTED, mirror)
    except ImagesFailed as error:
        if own == WANTED or not any(words in str(error) for words in NOT_SERVED):
            raise
        progress.say(f"this machine's mirror has no Debian {WANTED}: {own} takes its place")
        shutil.rmtree(into, ignore_errors=True)
        _debootstrap(engine, into, include, own, mirror)
        return own
    return WANTED


def _debootstrap(engine: Engine, into: Path, include: str, release: str, mirror: str) -> None:
    engine.work("debootstrap", "--variant=minbase", f"--include={include}", release, str(into), mirror)
    for place in NOT_KEPT:
        shutil.rmtree(into / place, ignore_errors=True)
        (into / place).mkdir()


def _mirror(codename: str) -> str:
    """Return where this machine gets its own packages."""
    for line in derive(read_sources(APT_DIR), codename).splitlines():
        if line.startswith("URIs: "):
            return line.removeprefix("URIs: ").split()[0]
    raise CannotObtain(f"images: {APT_DIR} lists no Debian {codename} mirror")
