"""Command line of `make test-313`: the tests under the Python that the images have, in a Debian of their own.

The system is laid out once in the cache, with a `.venv` made from the lock by its own Python; the tests see
a copy of the checkout. Packages are fetched first; the tests then run in a network of their own, which has
loopback addresses and nothing else. Words given are pytest's; with `--compiled` before them the hot path is
compiled there, and the tests run that (ADR 24). Needs Debian and root.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.find import CannotObtain, cache_dir
from cliproxy_dev.controlplane.prepare import only_one
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.images import system
from cliproxy_dev.images.base import PATH
from cliproxy_dev.images.build import CERTIFICATES, ROOT, pip_settings
from cliproxy_dev.images.engine import Engine, ImagesFailed, obtain
from cliproxy_dev.process import tethered

INCLUDED: Final = (
    "python3,python3-venv,ca-certificates,debian-archive-keyring,git,iproute2,make,openssl,procps,zsh,fish,"
    "gcc,libc6-dev,python3-dev"
)
CACHE: Final = "/cache"
FROM_OUR_CACHE: Final = ("controlplane", "tools")
"""Programs that bring their own libraries; what else is costly is fetched anew, for this Debian."""
FETCH: Final[tuple[tuple[str, ...], ...]] = (
    ("python3", "dev/bootstrap.py"),
    (".venv/bin/python", "-m", "cliproxy_dev.controlplane", "prepare"),
    (".venv/bin/python", "-m", "cliproxy_dev.redisserver"),
)
COMPILED: Final = f"{CACHE}/compiled"
TOLD_BY_MYPYC: Final = "ignore:the (type, exc, tb) signature of throw() is deprecated:DeprecationWarning"
"""From Python 3.12 on, of what mypyc's run time does to hand an error to a coroutine; only tests see it."""
COMPILE: Final = (".venv/bin/python", "-m", "cliproxy_dev.compiled", COMPILED)
DEFAULT: Final = ("-q", "--durations=10")
LOCAL_PLACE: Final = re.compile(r"(?:^|[\s='\"]|file://)(/[^\s'\"]+)")
NOT_COPIED: Final = (
    ".git",
    ".venv",
    ".run",
    "build",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".*_cache",
)
# $1 the system, $2 what is kept, $3 what is not, $4 and on: what is to be seen as FROM=TO, "--", a command.
# kube-apiserver wants a default route and an address on it; nobody uses either (RFC 5737).
_ENTER: Final = """\
set -e
root=$1; kept=$2; gone=$3; shift 3
mkdir -p "$root/src" "$root/cache" "$gone/src/.venv" "$gone/tmp" "$kept/venv" "$kept/cache"
mount --bind "$gone/src" "$root/src"
mount --bind "$kept/venv" "$root/src/.venv"
mount --bind "$kept/cache" "$root/cache"
mount --bind "$gone/tmp" "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
while [ "$1" != -- ]; do
  from=${1%%=*}; to=$root${1#*=}
  if [ -d "$from" ]; then mkdir -p "$to"; else mkdir -p "${to%/*}"; [ -e "$to" ] || : >"$to"; fi
  mount --bind "$from" "$to"
  shift
done
shift
exec chroot "$root" sh -c 'cd /src && exec "$@"' sh "$@"
"""
_ALONE: Final = """\
set -e
ip link set lo up; ip address add 198.51.100.1/32 dev lo; ip route add default dev lo
exec "$@"
"""


def main(arguments: Sequence[str]) -> int:
    """Run the tests; return pytest's exit code, or 1 when they cannot be run."""
    progress = Progress()
    try:
        engine = obtain(os.environ, progress)
        with only_one(engine.root / "lock-suite", "the tests in a Debian of their own", progress):
            return _run(engine, arguments, progress)
    except (CannotObtain, ImagesFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def _run(engine: Engine, words: Sequence[str], progress: Progress) -> int:
    kept = engine.root / f"suite-{hashlib.sha256(INCLUDED.encode()).hexdigest()[:8]}"
    for old in engine.root.glob("suite-*"):
        if old != kept:
            shutil.rmtree(old)
    if not (kept / "root").is_dir():
        kept.mkdir(exist_ok=True)
        with (
            progress.step("laying out a Debian for the tests (debootstrap)"),
            tempfile.TemporaryDirectory(dir=kept, prefix="new-") as name,
        ):
            system.make(engine, Path(name) / "root", include=INCLUDED, progress=progress)
            (Path(name) / "root").rename(kept / "root")
    with tempfile.TemporaryDirectory(dir=kept, prefix="run-") as gone:
        shutil.copytree(ROOT, Path(gone) / "src", symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
        steps, tests = plan(words)
        for step in steps:
            if (code := _inside(kept, Path(gone), step, alone=False)) != 0:
                return code
        return _inside(kept, Path(gone), tests, alone=True)


def plan(words: Sequence[str]) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """Return what is run with the network to prepare the tests, and the tests."""
    pytest = (".venv/bin/python", "-m", "pytest")
    if words[:1] != ["--compiled"]:
        return FETCH, (*pytest, *(words or DEFAULT))
    return (*FETCH, COMPILE), (
        "env",
        f"PYTHONPATH={COMPILED}",
        *pytest,
        "-W",
        TOLD_BY_MYPYC,
        *(words[1:] or DEFAULT),
    )


def _inside(kept: Path, gone: Path, command: Sequence[str], *, alone: bool) -> int:
    """Run a command in the system, in namespaces that end with it and take every process along."""
    namespaces = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    if alone:
        namespaces.append("--net")
        command = ["sh", "-c", _ALONE, "alone", *command]
    places = [str(kept / "root"), str(kept), str(gone)]
    seen = [f"{source}={target}" for source, target in _seen(os.environ)]
    if alone:  # nobody answers for names here: better no name server than one that is silent
        seen.append("/dev/null=/etc/resolv.conf")
    child = [*namespaces, "sh", "-c", _ENTER, "enter", *places, *seen, "--", *command]
    return subprocess.run(tethered(child), env=_environment(os.environ), check=False).returncode


def _seen(env: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Return what of this machine is seen inside, and where."""
    for name in FROM_OUR_CACHE:
        if (place := cache_dir(env) / name).is_dir():
            yield place, f"{CACHE}/{name}"
    for path in (CERTIFICATES, Path("/etc/resolv.conf"), Path("/etc/hosts"), *_pip_places(env)):
        if path.exists():
            yield path, str(path)


def _pip_places(env: Mapping[str, str]) -> list[Path]:
    """Return the places on this machine that pip's settings name, and those settings themselves."""
    text = "\n".join(value for name, value in env.items() if name.startswith("PIP_"))
    settings = pip_settings()
    if settings is not None:
        text += f"\n{settings}\n{settings.read_text('utf-8', 'replace')}"
    places = {Path(found) for found in LOCAL_PLACE.findall(text)}
    return sorted(place for place in places if not place.is_relative_to(CERTIFICATES))


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    passed = {name: value for name, value in env.items() if name.startswith("PIP_") or name == "TERM"}
    return {**passed, "PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "CLIPROXY_CACHE": CACHE}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
