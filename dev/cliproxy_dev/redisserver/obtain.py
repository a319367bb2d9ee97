"""Find redis-server, or unpack it from Debian's packages into the cache: nothing is installed or started.

As with etcd, the packages and what they need are fetched by an apt with state of its own, and their programs
run from where they were unpacked, with their libraries beside them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.debian import Workshop, check_machine
from cliproxy_dev.controlplane.find import CannotObtain, Unavailable, cache_dir
from cliproxy_dev.controlplane.prepare import only_one
from cliproxy_dev.controlplane.progress import Progress

PROGRAM: Final = "redis-server"
PACKAGES: Final = ("redis-server", "redis-tools")
"""The first holds a link to a program of the second."""
NEEDED_BYTES: Final = 300 << 20
WHAT: Final = "Debian's redis-server"
WAY_ROUND: Final = "A way round it: have redis-server on PATH (any version from 6 on, with TLS)."


@dataclass(frozen=True, slots=True)
class RedisServer:
    """The program, where its libraries are (None: where the system has them), and where it came from."""

    program: Path
    libraries: str | None
    origin: str

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment that it runs in."""
        return dict(env) | ({"LD_LIBRARY_PATH": self.libraries} if self.libraries is not None else {})


def find(env: Mapping[str, str]) -> RedisServer | None:
    """Return what is there: on PATH, else in the cache."""
    on_path = shutil.which(PROGRAM, path=env.get("PATH", os.defpath))
    if on_path is not None:
        return RedisServer(Path(on_path), None, "PATH")
    root = _target(env)
    program = root / "usr" / "bin" / PROGRAM
    if not os.access(program, os.X_OK):
        return None
    libraries = ":".join(str(path) for path in sorted((root / "usr" / "lib").glob("*-linux-gnu*")))
    return RedisServer(program, libraries, "cache")


def prepare(env: Mapping[str, str], progress: Progress) -> RedisServer:
    """Return redis-server, obtaining it when there is none. Raises `Unavailable`."""
    if (found := find(env)) is not None:
        return found
    folder = _target(env).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with only_one(folder / "lock", PROGRAM, progress):
            if (found := find(env)) is None:
                _obtain(_target(env), env, progress)
                found = find(env)
    except (OSError, CannotObtain) as error:
        raise Unavailable(
            f"There is no {PROGRAM} here, and none can be had:\n  - {error}\n{WAY_ROUND}"
        ) from error
    if found is None:
        raise Unavailable(f"{WHAT} was unpacked, and there is no {PROGRAM} in it.\n{WAY_ROUND}")
    return found


def _target(env: Mapping[str, str]) -> Path:
    return cache_dir(env) / "redis" / "debian"


def _obtain(target: Path, env: Mapping[str, str], progress: Progress) -> None:
    """Fill a new directory and move it to its place when it is complete."""
    for stale in target.parent.glob("work-*"):  # of a run that was killed; we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=target.parent))
    try:
        codename = check_machine(work, needed_bytes=NEEDED_BYTES, what=WHAT)
        workshop = Workshop(work, target.parent / "obtain.log", env, what=WHAT)
        with progress.step("fetching Debian's Redis"):
            workshop.fetch_programs(codename, PACKAGES, PACKAGES)
            root = workshop.unpack_programs()
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    (target.parent / "obtain.log").unlink(missing_ok=True)
