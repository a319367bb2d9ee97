"""Build the server for custom resources from Debian unstable's library packages, once, into the cache.

Needs Debian, its mirror and 3 GB for some minutes; needs no root, installs nothing: packages are unpacked
beside each other and compiled in Go's old GOPATH mode, for which Debian lays its libraries out.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.debian import Workshop, check_machine, read_sources, upstream_version
from cliproxy_dev.controlplane.find import CannotObtain, cache_dir
from cliproxy_dev.controlplane.prepare import only_one, remove_tree
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.sources import derive
from cliproxy_dev.process import tethered

WHAT: Final = "server for custom resources"
PROGRAM: Final = "apiextensions-apiserver"
SUITE: Final = "sid"
"""The suite that has the library; Debian's stable releases have no apiextensions-apiserver."""
LIBRARY: Final = "golang-k8s-apiextensions-apiserver-dev"
PACKAGES: Final = (LIBRARY, "golang-go")
SOURCE: Final = Path(__file__).with_name("server.go")
VERSION_PATH: Final = "k8s.io/component-base/version"
NEEDED_BYTES: Final = 3 << 30
APT_DIR: Final = Path("/etc/apt")
# Of everything that the library's package depends on (C compiler, Perl, servers), Go wants libraries and Go.
NEEDED: Final = re.compile(r"golang-.+-dev|golang-[0-9.]+-(?:go|src)")
# Two thirds of the bytes: libraries that only other programs of packages in between import.
UNUSED: Final = re.compile(
    r"golang-github-(?:apache-arrow|aws-|charmbracelet|cloudflare-circl|envoyproxy|go-git|jung-kurt|nats-io"
    r"|nxadm|pierrec-lz4|pjbgf)"
    r"|golang-(?:gonum|golang-x-image|google-api|google-cloud|mongodb)"
)


def program(env: Mapping[str, str]) -> Path:
    """Return where the finished program lies in the cache, whether or not it does."""
    return cache_dir(env) / "newest" / PROGRAM


def prepare(env: Mapping[str, str], progress: Progress, *, again: bool = False) -> Path:
    """Return the program, built when there is none (`again`: in any case). Raises `CannotObtain`."""
    target = program(env)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotObtain(f"{WHAT}: the cache cannot be written: {error}") from error
    with only_one(target.parent / "lock", f"the {WHAT}", progress):
        if again or not os.access(target, os.X_OK):
            _build(target, env, progress)
    return target


def _build(target: Path, env: Mapping[str, str], progress: Progress) -> None:
    log_path = target.with_name("build.log")
    log_path.unlink(missing_ok=True)
    for stale in target.parent.glob("work-*"):  # a run that was killed; we hold the lock
        remove_tree(stale)
    scratch = Path(tempfile.mkdtemp(prefix="work-", dir=target.parent))
    try:
        codename = check_machine(scratch, needed_bytes=NEEDED_BYTES, what=WHAT)
        workshop = Libraries(scratch, log_path, env, what=WHAT)
        with progress.step(f"fetching Go and {LIBRARY} of Debian {SUITE} (150 MB)"):
            workshop.fetch(codename)
        with progress.step("unpacking"):
            workshop.unpack_programs()
        with progress.step(f"compiling {PROGRAM} {workshop.version}", workshop.compiled):
            workshop.compile_program(scratch / PROGRAM)
        (scratch / PROGRAM).replace(target)
    finally:
        remove_tree(scratch)
    log_path.unlink(missing_ok=True)


class Libraries(Workshop):
    """A scratch directory with Go and the packaged libraries of one program."""

    version = ""
    """Kubernetes' version, such as 1.36.4."""

    def fetch(self, codename: str) -> None:
        """Download what Go needs, verified by apt against Debian's signatures."""
        sources = derive(read_sources(APT_DIR), codename, suite=SUITE)
        if not sources:
            raise CannotObtain(f"{WHAT}: {APT_DIR} lists no Debian {codename} mirror")
        self._prepare_apt(sources)
        # Nothing counts as installed: the libraries must come from one suite, whatever this machine has.
        (self._scratch / "status").touch()
        self._apt_options["Dir::State::status"] = self._scratch / "status"
        self._run(self._apt("update"))
        listed = self._ask(self._apt("--print-uris", "--no-install-recommends", "install", *PACKAGES))
        names = needed(re.findall(r"^'\S+' ([^_\s]+)_", listed, re.MULTILINE))
        if LIBRARY not in names:
            raise CannotObtain(f"{WHAT}: Debian {SUITE} does not offer {LIBRARY} now; see {self._log_path}")
        self._run(self._apt("download", *names), cwd=self._scratch / "archives")
        [archive] = (self._scratch / "archives").glob(f"{LIBRARY}_*.deb")
        self.version = kubernetes_version(archive.name.split("_")[1])

    def compile_program(self, into: Path) -> None:
        """Compile the program to `into`."""
        major, minor, _ = self.version.split(".", 2)
        stamps = {
            "gitVersion": f"v{self.version}",
            "gitMajor": major,
            "gitMinor": minor,
            "gitCommit": "debian",
            "gitTreeState": "archive",
        }
        flags = " ".join(f"-X {VERSION_PATH}.{name}={value}" for name, value in stamps.items())
        root = self._scratch / "root"
        go_root = newest_go(root / "usr" / "lib")
        env = self._env | {
            "GOROOT": str(go_root),
            "GOPATH": str(root / "usr" / "share" / "gocode"),
            "GO111MODULE": "off",
            "GOTOOLCHAIN": "local",
            "GOCACHE": str(self._scratch / "gocache"),
            "CGO_ENABLED": "0",  # no C compiler needed, and the program is static
        }
        go = str(go_root / "bin" / "go")
        self._run([go, "build", "-v", "-ldflags", f"-s -w {flags}", "-o", str(into), str(SOURCE)], env=env)

    def _ask(self, command: list[str]) -> str:
        done = subprocess.run(
            tethered(command), capture_output=True, text=True, check=False, env=self._env, cwd=self._scratch
        )
        if done.returncode != 0:
            words = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise CannotObtain(f"{WHAT}: Debian {SUITE} cannot be used now: {words}")
        return done.stdout


def needed(names: Iterable[str]) -> list[str]:
    """Return which of these packages the compiler may want."""
    return sorted(name for name in names if NEEDED.fullmatch(name) and not UNUSED.match(name))


def kubernetes_version(packaged: str) -> str:
    """Return Kubernetes' version for the library's Debian version: `0.36.4-1` is 1.36.4."""
    library = upstream_version(packaged)
    if not re.fullmatch(r"0\.\d+\.\d+", library):
        raise CannotObtain(f"{WHAT}: {LIBRARY} has the unknown version {packaged}")
    return "1" + library.removeprefix("0")


def newest_go(folder: Path) -> Path:
    """Return the Go root `go-1.N` of the highest N below `folder`."""
    roots = [(int(path.name.removeprefix("go-1.")), path) for path in folder.glob("go-1.*")]
    if not roots:
        raise CannotObtain(f"{WHAT}: no package brought Go")
    return max(roots)[1]
