"""Build kube-apiserver from Debian's own source package and take etcd from Debian's binary package.

Needs Debian 12, its package mirror and about 3 GB for a few minutes; needs no root and changes nothing on the
system: apt works on state of our own, and packages are unpacked beside the build instead of installed (so
etcd's package starts no service either). Where the result goes and who may run this at a time is left to
`prepare`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.sources import derive
from cliproxy_dev.process import tail, tethered

BUILD_PACKAGES = (
    "golang-go",
    "golang-github-modern-go-reflect2-dev",
    "jq",
    "make",
    "patch",
    "rsync",
    "etcd-server",
)
SOURCE_PACKAGE = "kubernetes"
KNOWN_SERIES = "1.20."  # later Debian sources come without the vendored libraries this recipe relies on
NEEDED_BYTES = 4 << 30
SOURCE_BUILD = "Debian source build"  # how messages call what is being done
APT_DIR = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
# A `make run` above us must not hand its flags down, nor a developer's Go settings leak in.
FOREIGN_VARIABLES = re.compile(r"^(MAKEFLAGS|MFLAGS|MAKELEVEL|GO[A-Z0-9]+|KUBE_.*|CDPATH|LD_LIBRARY_PATH)$")


def build(into: Path, scratch: Path, log_path: Path, env: Mapping[str, str], progress: Progress) -> None:
    """Put the two programs into the existing directory `into`. Raises `CannotObtain`.

    `scratch` is an empty directory for everything in between; `log_path` gets what the tools say.
    """
    codename = check_machine(scratch)
    with progress.step("fetching Debian's Kubernetes source, Go and etcd"):
        workshop = Workshop(scratch, log_path, env)
        workshop.fetch(codename)
    with progress.step("unpacking"):
        tree = workshop.unpack()
    with progress.step("compiling kube-apiserver (about 4 minutes on 2 cores)", workshop.compiled):
        server = workshop.compile(tree)
    shutil.copy2(server, into / "kube-apiserver")
    shutil.copy2(workshop.find_file("usr/bin/etcd"), into / "etcd")


def check_machine(scratch: Path, *, needed_bytes: int | None = None, what: str = SOURCE_BUILD) -> str:
    """Return Debian's code name here. Raises `CannotObtain` when `what` cannot work on this machine."""
    needed_bytes = NEEDED_BYTES if needed_bytes is None else needed_bytes
    try:
        facts: dict[str, str] = dict(
            re.findall(r'^(\w+)="?([^"\n]*)"?$', OS_RELEASE.read_text("utf-8"), re.MULTILINE)
        )
    except OSError:
        facts = {}
    if facts.get("ID") != "debian" or "VERSION_CODENAME" not in facts:
        raise CannotObtain(f"{what}: this is {facts.get('PRETTY_NAME', 'not Debian')}, not Debian 12")
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise CannotObtain(f"{what}: there is no {' and no '.join(missing)}")
    if (free := shutil.disk_usage(scratch).free) < needed_bytes:
        raise CannotObtain(f"{what}: {scratch} has {free >> 20} MB free, {needed_bytes >> 20} are needed")
    return facts["VERSION_CODENAME"]


def upstream_version(debian_version: str) -> str:
    """Return Kubernetes' own version: `1.20.5+really1.20.2-1.1+deb12u1` is 1.20.2."""
    upstream = debian_version.rsplit("-", 1)[0]
    return re.split(r"[+~]", upstream.rsplit("+really", 1)[-1])[0]


def read_sources(apt_dir: Path) -> list[tuple[str, str]]:
    """Return (name, text) of every file that lists package sources."""
    paths = [apt_dir / "sources.list", *sorted((apt_dir / "sources.list.d").glob("*"))]
    return [
        (path.name, path.read_text("utf-8", "replace"))
        for path in paths
        if path.suffix in {".list", ".sources"} and path.is_file()
    ]


class Workshop:
    """A scratch directory with apt state, unpacked packages and the source tree of one build."""

    def __init__(
        self, scratch: Path, log_path: Path, env: Mapping[str, str], *, what: str = SOURCE_BUILD
    ) -> None:
        self._what = what
        self._scratch = scratch
        self._log_path = log_path
        self._root = scratch / "root"  # where packages are unpacked
        self._version = ""
        self._env = {name: value for name, value in env.items() if not FOREIGN_VARIABLES.match(name)}
        self._env |= {"HOME": str(scratch), "LC_ALL": "C.UTF-8"}
        self._apt_options: dict[str, str | Path] = {
            "Dir::Etc::sourcelist": scratch / "debian.sources",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State::lists": scratch / "lists",
            "Dir::Cache": scratch / "cache",
            "Debug::NoLocking": "1",  # nothing of the system's is written, so its locks are not ours to take
            "APT::Sandbox::User": "",  # the directory is ours; apt's own user could not write there
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "20",
        }

    def find_file(self, path: str) -> Path:
        """Return a file of a package: unpacked here, or installed on the system already."""
        for base in (self._root, Path("/")):
            if (base / path).exists():
                return base / path
        raise CannotObtain(f"{self._what}: no package brought /{path}")

    # ------------------------------------------------------------------ fetch

    def fetch(self, codename: str) -> None:
        """Download what the build needs, verified by apt against Debian's signatures."""
        self.fetch_programs(codename, BUILD_PACKAGES, ("etcd-server",))
        self._run(self._apt("--download-only", "source", SOURCE_PACKAGE), cwd=self._scratch / "source")

    def fetch_programs(self, codename: str, packages: Sequence[str], as_files: Sequence[str]) -> None:
        """Download packages and what they need that the system lacks.

        Those `as_files` are downloaded even if the system has them.
        """
        sources = derive(read_sources(APT_DIR), codename)
        if not sources:
            raise CannotObtain(f"{self._what}: {APT_DIR} lists no Debian {codename} mirror")
        self._prepare_apt(sources)
        # One broken mirror entry must not stop us: the next steps fail if something was really missing.
        self._run(self._apt("update"), check=False)
        self._run(self._apt("--download-only", "--no-install-recommends", "install", *packages))
        self._run(self._apt("download", *as_files), cwd=self._scratch / "archives")

    def _prepare_apt(self, sources: str) -> None:
        """Give apt these sources and empty state of its own."""
        (self._scratch / "debian.sources").write_text(sources, "utf-8")
        for folder in ("lists/partial", "cache/archives/partial", "archives", "source"):
            (self._scratch / folder).mkdir(parents=True)

    def _apt(self, *words: str) -> list[str]:
        """Return the command line of apt-get on our state."""
        options = (f"-o{name}={value}" for name, value in self._apt_options.items())
        return ["apt-get", "-q", "-y", *options, *words]

    # ------------------------------------------------------------------ unpack

    def unpack(self) -> Path:
        """Lay out the packages and the patched source tree; returns the tree as Go wants to see it."""
        self.unpack_programs()
        tree = self._scratch / "tree"
        self._unpack_source(tree)
        for name in (tree / "debian" / "patches" / "series").read_text("utf-8").splitlines():
            if name.strip() and not name.startswith("#"):
                patch = tree / "debian" / "patches" / name.split()[0]
                self._run([str(self.find_file("usr/bin/patch")), "-s", "-p1", "-i", str(patch)], cwd=tree)
        self._renew_reflect2(tree)
        seen_by_go = tree / ".go" / "src" / "k8s.io" / "kubernetes"
        seen_by_go.parent.mkdir(parents=True)
        seen_by_go.symlink_to(tree)
        return seen_by_go

    def unpack_programs(self) -> Path:
        """Lay out the packages beside the system; returns the directory that holds their usr."""
        for archive in self._scratch.glob("**/*.deb"):
            self._run(["dpkg-deb", "-x", str(archive), str(self._root)])
        return self._root

    def _unpack_source(self, tree: Path) -> None:
        [description] = (self._scratch / "source").glob("*.dsc")
        version = re.search(r"^Version: (\S+)$", description.read_text("utf-8"), re.MULTILINE)
        self._version = upstream_version(version[1].split(":", 1)[-1]) if version else ""
        if not self._version.startswith(KNOWN_SERIES):
            raise CannotObtain(
                f"Debian source build: this Debian has Kubernetes {self._version or 'of unknown version'}; "
                f"the recipe is for {KNOWN_SERIES}x (Debian 12)"
            )
        [upstream] = (self._scratch / "source").glob("*.orig.tar.*")
        [packaging] = (self._scratch / "source").glob("*.debian.tar.*")
        unpacked = self._scratch / "unpacked"
        _unpack_tar(upstream, unpacked)
        [folder] = unpacked.iterdir()
        folder.rename(tree)
        _unpack_tar(packaging, tree)

    def _renew_reflect2(self, tree: Path) -> None:
        """Replace the vendored reflect2: it is too old for Go 1.18 and later, the server would panic."""
        vendored = tree / "vendor" / "github.com" / "modern-go" / "reflect2"
        shutil.rmtree(vendored)
        shutil.copytree(self.find_file("usr/share/gocode/src/github.com/modern-go/reflect2"), vendored)

    # ------------------------------------------------------------------ compile

    def compile(self, tree: Path) -> Path:
        """Compile the server; returns the finished program."""
        major, minor, _ = self._version.split(".", 2)
        env = (
            self._env
            | self._tool_paths()
            | {
                "GOPATH": str(tree.parents[2]),
                "GO111MODULE": "off",
                "GOCACHE": str(self._scratch / "gocache"),
                "CGO_ENABLED": "0",  # no C compiler needed, and the program is static
                "PWD": str(tree),  # Go and bash must see the path through the link
                "KUBE_GIT_COMMIT": "debian",
                "KUBE_GIT_TREE_STATE": "archive",
                "KUBE_GIT_VERSION": f"v{self._version}",
                "KUBE_GIT_MAJOR": major,
                "KUBE_GIT_MINOR": minor,
            }
        )
        make = str(self.find_file("usr/bin/make"))
        self._run([make, "-C", str(tree), "WHAT=cmd/kube-apiserver", "GOFLAGS=-v"], env=env)
        program = tree / "_output" / "bin" / "kube-apiserver"
        if not program.is_file():
            raise CannotObtain(f"Debian source build: make ended well but left no {program.name}")
        return program

    def _tool_paths(self) -> dict[str, str]:
        """Return the variables under which unpacked tools find themselves and their libraries."""
        go_root = self.find_file("usr/lib/go").resolve()
        libraries = [str(path) for path in (self._root / "usr" / "lib").glob("*-linux-gnu*")]
        programs = [str(go_root / "bin"), str(self._root / "usr" / "bin"), self._env.get("PATH", os.defpath)]
        return {
            "GOROOT": str(go_root),
            "LD_LIBRARY_PATH": ":".join(libraries),
            "PATH": ":".join(programs),
        }

    def compiled(self) -> str:
        """Say how far the compiler is."""
        with self._log_path.open("rb") as log_file:
            return f"{sum(line.startswith(b'k8s.io/') for line in log_file)} packages so far"

    # ------------------------------------------------------------------ run

    def _run(
        self,
        command: Sequence[str],
        *,
        check: bool = True,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run a tool with its children in one group that ends when we do; its words go to the log."""
        with self._log_path.open("ab") as log_file:
            child = subprocess.Popen(
                tethered(command, group=True),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                cwd=cwd or self._scratch,
                env=dict(env or self._env),
            )
        try:
            code = child.wait()
        finally:
            if child.poll() is None:  # Ctrl-C or SIGTERM
                child.terminate()
                child.wait()
        if code != 0 and check:
            raise CannotObtain(
                f"{self._what}: {Path(command[0]).name} failed with {code}; "
                f"the end of {self._log_path}:\n{tail(self._log_path, 15)}"
            )


def _unpack_tar(archive: Path, into: Path) -> None:
    """Unpack an archive that is signed by Debian and was checked by apt."""
    with tarfile.open(archive) as tar:
        # Later Pythons insist on a filter; Debian 12's own 3.11.2 does not know the word.
        known = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        tar.extractall(into, **known)  # type: ignore[arg-type]  # noqa: S202
