"""Which Python runs the contenders that are written in it: a build as production images have it.

CPython built without profile-guided optimisation (pyenv's default) takes 1.3 to 1.6 times as long for the
sidecar's data path as those of Debian and of the official images, so a race on it would mislead. All
contenders written in Python run on the interpreter of this process; `hand_over` starts it anew on another one
where this one is no such build.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
OLDEST: Final = (3, 11)
_TOLD: Final = "CLIPROXY_BENCH_ON"
"""Set for the process that was started anew, so that it is the last."""
_FLAGS: Final = ("CONFIG_ARGS", "PY_CFLAGS_NODIST", "CONFIGURE_CFLAGS_NODIST", "CFLAGS_NODIST")
_SIGNS: Final = ("--enable-optimizations", "-fprofile-use", "-fprofile-instr-use")
_DISTRIBUTIONS: Final = {"debian": "Debian", "ubuntu": "Ubuntu"}
"""Whose packages are optimised by profile and at link time, though the flags that are kept do not say so.
Source: changelog of Debian's python3.11, "Enable LTO/PGO builds" and "Don't propagate lto flags to the
_sysconfigdata module" (read 2026-11)."""
_PROBE_LIMIT_S: Final = 30.0
_PROBE: Final = """
import json, sys, sysconfig
flags = " ".join(str(sysconfig.get_config_var(name)) for name in sys.argv[1:])
about = {"version": list(sys.version_info[:3]), "name": sys.implementation.name, "base": sys.base_prefix}
print(json.dumps({**about, "flags": flags}))
"""


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What an interpreter says about itself."""

    version: tuple[int, int, int]
    name: str
    flags: str
    """Those of its configuration and compilation that were kept."""
    base: str
    """Where it is installed."""


def optimised(build: Build, distribution: str | None) -> str | None:
    """Return how it is known that a build is optimised by profile; None: it is not known to be.

    `distribution` is the system's id in os-release, whose own Python lives in /usr.
    """
    if sign := next((sign for sign in _SIGNS if sign in build.flags), None):
        return f"built with {sign}"
    if build.base == "/usr" and distribution in _DISTRIBUTIONS:
        return f"{_DISTRIBUTIONS[distribution]}'s package, built with PGO and LTO by its changelog"
    return None


def told(build: Build, distribution: str | None) -> str:
    """Return version and build in words, for whoever reads figures made with it."""
    version = ".".join(map(str, build.version))
    how = optimised(build, distribution)
    if how is None:
        return f"{version} (not known to be built with profile-guided optimisation: figures are too low)"
    return f"{version} (optimised: {how})"


def chosen(own: Build, others: list[tuple[str, Build]], distribution: str | None) -> str | None:
    """Return the program to run on instead of this one; None: stay."""
    if optimised(own, distribution) is not None:
        return None
    fit = [
        (build.version, program)
        for program, build in others
        if build.name == "cpython" and build.version >= OLDEST and optimised(build, distribution) is not None
    ]
    return max(fit)[1] if fit else None


def describe() -> str:
    """Return what this process runs on, in words."""
    return told(_own(), _distribution())


def hand_over(prepare: Callable[[str], Path]) -> None:
    """Start this program anew on an optimised interpreter if there is one and this is none.

    `prepare` returns the interpreter of an environment, made with the given one, that can run the sidecar.
    """
    if _TOLD in os.environ:
        return
    program = chosen(_own(), list(_others()), _distribution())
    if program is not None:
        python = str(prepare(program))
        env = {**os.environ, _TOLD: program}
        os.execve(python, [python, *sys.argv], env)  # noqa: S606 -- ours, found and made above


def _own() -> Build:
    build = _probed(sys.executable)
    if build is None:
        raise RuntimeError(f"{sys.executable} does not run")
    return build


def _others() -> Iterator[tuple[str, Build]]:
    """Yield the other interpreters of this machine: the system's, and the first of each version in PATH."""
    names = ("python3", *(f"python3.{minor}" for minor in range(OLDEST[1], OLDEST[1] + 8)))
    folders = ("/usr/bin", "/usr/local/bin", os.environ.get("PATH", ""))
    seen = {sys.base_prefix}
    for name in names:
        for folder in folders:
            program = shutil.which(name, path=folder)
            build = None if program is None else _probed(program)
            if program is not None and build is not None and build.base not in seen:
                seen.add(build.base)
                yield program, build


def _probed(program: str) -> Build | None:
    try:
        done = subprocess.run(
            [program, "-I", "-c", _PROBE, *_FLAGS], capture_output=True, timeout=_PROBE_LIMIT_S, check=True
        )
        return msgspec.json.decode(done.stdout, type=Build)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError):
        return None


def _distribution() -> str | None:
    try:
        return platform.freedesktop_os_release().get("ID")
    except OSError:
        return None
