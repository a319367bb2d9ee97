"""Say how many instructions a request and a token of a stream take, counted by callgrind.

    .venv/bin/python bench/instructions.py [--only requests,paced,taken] [--python PATH]

Unlike time, the count does not depend on what else the machine does, so it shows what a change is worth. What
runs is `gateways.inside`, the data path without sockets, and `fleet.inside`, a fleet's state on its way.
System calls and the event loop's own work are not in it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cliproxy_dev.process import tethered

BENCH: Final = Path(__file__).parent
KINDS: Final = {
    "requests": "a request of 1 KB",
    "headers": "the same with an SDK's headers",
    "paced": "a token of a paced stream",
    "flood": "a token of a flood",
}
FLEET: Final = {
    "taken": "a fleet state taken in by a sidecar",
    "shared": "the same by a light sidecar of the fleet's benchmark",
    "told": "a fleet state told to a sidecar by the operator",
}
COUNT: Final = 240
_TOTAL: Final = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)
_LIMIT_S: Final = 60.0


def counted(python: str, program: str, kinds: Sequence[str], home: Path) -> Iterator[tuple[str, float]]:
    """Yield each kind of a program and the instructions of one."""
    if not kinds:
        return
    command = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
    command += [f"--callgrind-out-file={home}/callgrind.out", python, "-m", program, str(COUNT)]
    # What the caller has on it comes first: build/compiled, for one.
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(BENCH))))
    env = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    with subprocess.Popen(
        tethered([*command, *kinds]), env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("no way to talk to the program")
        for kind in (*kinds, None):
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("the program ended early")
            if kind != kinds[0]:
                yield kinds[(*kinds, None).index(kind) - 1], _dumped(process.pid, home) / COUNT
            _control(process.pid, "--instr=on" if kind == kinds[0] else "--zero")
            process.stdin.write("\n")
            process.stdin.flush()


def _dumped(pid: int, home: Path) -> int:
    known = set(home.iterdir())
    _control(pid, "--dump")
    for path in set(home.iterdir()) - known:
        if found := _TOTAL.findall(path.read_text("utf-8", "replace")):
            return int(found[-1])
    raise RuntimeError("callgrind has written nothing")


def _control(pid: int, what: str) -> None:
    subprocess.run(
        ["callgrind_control", what, str(pid)], check=True, stdout=subprocess.DEVNULL, timeout=_LIMIT_S
    )


def main() -> int:
    """Count and print."""
    every = KINDS | FLEET
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--only", metavar="KINDS", default=",".join(KINDS), help="some of: " + ", ".join(every)
    )
    parser.add_argument("--python", default=sys.executable, help="another environment's interpreter")
    arguments = parser.parse_args()
    kinds = arguments.only.split(",")
    if strange := set(kinds) - every.keys():
        parser.error(f"no such kind: {', '.join(sorted(strange))}")
    if shutil.which("valgrind") is None:
        parser.error("there is no valgrind on this machine (Debian's package valgrind)")
    with tempfile.TemporaryDirectory(prefix="cliproxy-instructions-") as folder:
        for program, own in (("gateways.inside", KINDS), ("fleet.inside", FLEET)):
            wanted = [kind for kind in kinds if kind in own]
            for kind, instructions in counted(arguments.python, program, wanted, Path(folder)):
                print(f"{own[kind]}: {instructions:,.0f} instructions", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
