"""Run a command that dies with the process that started it, also after kill -9 of that process.

A stand-alone script (standard library only, started with `python -I -S`): it sets the kernel's parent-death
signal on itself and then becomes the command. With `--group` it stays as a small guard instead, and takes
the command's whole process group down with it: for tools such as make that start children of their own.

Why not `preexec_fn`: it is unsafe beside threads, and Python 3.12 and later warn about it.
Elsewhere than on Linux there is no parent-death signal; the command then simply runs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from types import FrameType

PR_SET_PDEATHSIG = 1
CANNOT_START = 127  # what shells answer for a command they cannot start


def die_with_parent(parent_pid: int, with_signal: signal.Signals) -> None:
    """Ask the kernel for `with_signal` when the parent dies; exit now if it is dead already."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
    if os.getppid() != parent_pid:  # it died between our start and the call above
        sys.exit(CANNOT_START)


def guard_group(command: list[str]) -> int:
    """Run `command` in a group of its own; on SIGTERM, SIGINT or the parent's death kill the group."""
    os.setpgid(0, 0)

    def kill_all(_number: int, _frame: FrameType | None) -> None:
        os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGTERM, kill_all)
    signal.signal(signal.SIGINT, kill_all)
    return subprocess.run(command, check=False).returncode


def main(arguments: list[str]) -> int:
    """Read `[--group] PARENT_PID COMMAND...` and run it; the exit code is the command's."""
    in_group = arguments[0] == "--group"
    if in_group:
        arguments = arguments[1:]
    parent_pid, command = int(arguments[0]), arguments[1:]
    die_with_parent(parent_pid, signal.SIGTERM if in_group else signal.SIGKILL)
    try:
        if in_group:
            return guard_group(command)
        os.execvp(command[0], command)  # noqa: S606 -- becoming the command is the point
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        return CANNOT_START


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
