"""Find a program, or unpack it from Debian's packages into the cache: nothing is installed or started.

As with etcd, the packages and what they need are fetched by an apt with state of its own, and programs run
from where they were unpacked, with their libraries beside them.
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

NEEDED_BYTES: Final = 300 << 20


@dataclass(frozen=True, slots=True)
class Sought:
    """A program in `usr/bin`, the Debian packages that bring it, and what to say of its version."""

    name: str
    packages: tuple[str, ...]
    version: str = "any version"


@dataclass(frozen=True, slots=True)
class Program:
    """The program, where its libraries are (None: where the system has them), and where it came from."""

    program: Path
    libraries: str | None
    origin: str

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment that it runs in."""
        return dict(env) | ({"LD_LIBRARY_PATH": self.libraries} if self.libraries is not None else {})


def find(sought: Sought, env: Mapping[str, str]) -> Program | None:
    """Return what is there: on PATH, else in the cache."""
    on_path = shutil.which(sought.name, path=env.get("PATH", os.defpath))
    if on_path is not None:
        return Program(Path(on_path), None, "PATH")
    root = _target(sought, env)
    program = root / "usr" / "bin" / sought.name
    if not os.access(program, os.X_OK):
        return None
    libraries = ":".join(str(path) for path in sorted((root / "usr" / "lib").glob("*-linux-gnu*")))
    return Program(program, libraries, "cache")


def prepare(sought: Sought, env: Mapping[str, str], progress: Progress) -> Program:
    """Return the program, obtaining it when there is none. Raises `Unavailable`."""
    if (found := find(sought, env)) is not None:
        return found
    name, target = sought.name, _target(sought, env)
    way_round = f"A way round it: have {name} on PATH ({sought.version})."
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with only_one(target.parent / "lock", name, progress):
            if (found := find(sought, env)) is None:
                _obtain(sought, target, env, progress)
                found = find(sought, env)
    except (OSError, CannotObtain) as error:
        raise Unavailable(
            f"There is no {name} here, and none can be had:\n  - {error}\n{way_round}"
        ) from error
    if found is None:
        raise Unavailable(f"Debian's {name} was unpacked, and there is no {name} in it.\n{way_round}")
    return found


def _target(sought: Sought, env: Mapping[str, str]) -> Path:
    return cache_dir(env) / sought.name / "debian"


def _obtain(sought: Sought, target: Path, env: Mapping[str, str], progress: Progress) -> None:
    """Fill a new directory and move it to its place when it is complete."""
    for stale in target.parent.glob("work-*"):  # of a run that was killed; we hold the lock
        shutil.rmtree(stale, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=target.parent))
    what = f"Debian's {sought.name}"
    try:
        codename = check_machine(work, needed_bytes=NEEDED_BYTES, what=what)
        workshop = Workshop(work, target.parent / "obtain.log", env, what=what)
        with progress.step(f"fetching {what}"):
            workshop.fetch_programs(codename, sought.packages, sought.packages)
            root = workshop.unpack_programs()
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    (target.parent / "obtain.log").unlink(missing_ok=True)
