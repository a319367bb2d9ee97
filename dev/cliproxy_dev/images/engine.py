"""buildah, podman and runc from Debian packages, unpacked beside the system and used without installing them.

Each call runs in a mount namespace of its own in which the unpacked `usr` is laid over the system's, so the
programs find their libraries and each other, and nothing outside changes. That takes root, as building with
chroot does. What is built and run is left to the callers.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.debian import Workshop, check_machine
from cliproxy_dev.controlplane.find import CannotObtain, cache_dir
from cliproxy_dev.controlplane.prepare import only_one
from cliproxy_dev.controlplane.progress import Progress

PACKAGES: Final = ("buildah", "podman", "runc", "conmon", "debootstrap")
NEEDED_BYTES: Final = 3 << 30
INSTEAD: Final = "with a container engine: docker build --file Dockerfile.operator . (docs/install.md)"
_OVER: Final = 'mount -t overlay overlay -o "lowerdir=$1:/usr" /usr && shift && exec "$@"'
_STORAGE: Final = '[storage]\ndriver = "overlay"\ngraphroot = "{root}/storage"\nrunroot = "{root}/run"\n'
# Ulimits: what this process has may be below the engine's own. No systemd: cgroupfs, events in a file.
_CONTAINERS: Final = """\
[containers]
default_ulimits = ["nofile=8192:8192", "nproc=8192:8192"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
_POLICY: Final = '{"default": [{"type": "insecureAcceptAnything"}]}\n'
"""Which images may be taken: here only those that are made here."""


class ImagesFailed(RuntimeError):
    """A tool failed; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The tools, unpacked, with a store of images of their own."""

    root: Path

    @property
    def log_path(self) -> Path:
        """What the tools said while something was built."""
        return self.root / "build.log"

    @property
    def policy(self) -> Path:
        """Which images may be taken."""
        return self.root / "policy.json"

    def command(self, *words: str) -> list[str]:
        """Return a command line that runs one of the tools."""
        over = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _OVER, "engine"]
        return [*over, str(self.root / "tools" / "usr"), *words]

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of such a command."""
        return {
            **env,
            "CONTAINERS_CONF": str(self.root / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.root / "registries.conf"),
            "DEBOOTSTRAP_DIR": "/usr/share/debootstrap",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def ask(self, *words: str, check: bool = True) -> str:
        """Run a tool and return what it printed. Raises `ImagesFailed`."""
        done = subprocess.run(
            self.command(*words),
            env=self.environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise ImagesFailed(f"{shlex.join(words[:3])}: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def work(self, *words: str, cwd: Path | None = None) -> None:
        """Run a tool that says much; its words go to the log. Raises `ImagesFailed`."""
        with self.log_path.open("ab") as log:
            done = subprocess.run(
                self.command(*words),
                env=self.environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                check=False,
            )
        if done.returncode != 0:
            end = "\n".join(self.log_path.read_text("utf-8", "replace").splitlines()[-15:])
            raise ImagesFailed(f"{shlex.join(words[:3])} failed; the end of {self.log_path}:\n{end}")


def obtain(env: Mapping[str, str], progress: Progress) -> Engine:
    """Return the tools, unpacked once into the cache. Raises `CannotObtain`."""
    if os.geteuid() != 0:
        raise CannotObtain(f"images: building without an engine takes root; {INSTEAD}")
    for program in ("unshare", "mount"):
        if shutil.which(program) is None:
            raise CannotObtain(f"images: there is no {program}; {INSTEAD}")
    engine = Engine(cache_dir(env) / "images")
    engine.root.mkdir(parents=True, exist_ok=True)
    with only_one(engine.root / "lock", "the image tools", progress):
        if not (engine.root / "tools").is_dir():
            with progress.step("fetching buildah, podman, runc and debootstrap from Debian"):
                _unpack(engine, env)
        for name, text in (
            ("storage.conf", _STORAGE.format(root=engine.root)),
            ("containers.conf", _CONTAINERS),
            ("registries.conf", "unqualified-search-registries = []\n"),
            ("policy.json", _POLICY),
        ):
            (engine.root / name).write_text(text, "ascii")
    return engine


def _unpack(engine: Engine, env: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory(dir=engine.root, prefix="work-") as name:
        scratch = Path(name)
        codename = check_machine(scratch, needed_bytes=NEEDED_BYTES, what="images")
        workshop = Workshop(scratch, engine.log_path, env, what="images")
        workshop.fetch_programs(codename, PACKAGES, PACKAGES)
        workshop.unpack_programs().rename(engine.root / "tools")
