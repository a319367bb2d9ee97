"""The programs that pages take for granted in a reader's shell, for machines that lack one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.debianprogram import Program, Sought, prepare

TAKEN_FOR_GRANTED: Final = (Sought("curl", ("curl",)), Sought("openssl", ("openssl",)))


def stock(folder: Path, env: Mapping[str, str], progress: Progress) -> None:
    """Put what PATH lacks into an existing folder, to be put on it. Raises `Unavailable`."""
    for sought in TAKEN_FOR_GRANTED:
        found = prepare(sought, env, progress)
        if found.libraries is not None:
            write_wrapper(folder / sought.name, found)


def write_wrapper(path: Path, found: Program) -> None:
    """Write a script that runs the program with its libraries; those are nothing for other programs."""
    libraries, program = shlex.quote(found.libraries or ""), shlex.quote(str(found.program))
    path.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {program} "$@"\n', "utf-8")
    path.chmod(0o755)
