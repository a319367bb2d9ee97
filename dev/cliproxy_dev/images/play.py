"""Plays a pod's container, as the node agent describes it, as a real container under podman.

`python -m cliproxy_dev.images.play STORE IMAGE FILE`. It has a read-only root, no capabilities and no shell
that could be run, its own mounts and variables, and this process's signals and exit code. It shares the
machine's network, as pods here are told apart by loopback addresses.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cliproxy_dev.images.build import Image
from cliproxy_dev.images.engine import Engine
from cliproxy_dev.nodeagent.images import Player

SHELLS: Final = ("/usr/bin/dash", "/usr/bin/bash")
"""Of the stand-in base, made unusable: an image that needs one to run would be found out."""
HARDENED: Final = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--pull=never",
    *(f"--volume=/dev/null:{shell}:ro" for shell in SHELLS),
)


def player(engine: Engine, image: Image) -> Player:
    """Return what the node agent plays the image with."""
    module = [sys.executable, "-m", "cliproxy_dev.images.play"]
    return Player((*module, str(engine.root), image.tag))


def container_name(name: str) -> str:
    """Return podman's name for the container that the node agent calls so."""
    return "cliproxy-" + re.sub(r"[^a-zA-Z0-9_.-]", "-", name)


def command(image: str, run: dict[str, Any]) -> list[str]:
    """Return podman's words that run the container which the node agent describes."""
    words = ["podman", "run", "--rm", f"--name={container_name(run['name'])}", "--network=host", *HARDENED]
    words += ["--no-healthcheck"]  # kubelet does not know it either
    for mount in run["mounts"]:
        mode = "ro" if mount["read_only"] else "rw"
        words.append(f"--volume={mount['source']}:{mount['target']}:{mode}")
    words += [f"--env={key}={value}" for key, value in run["env"].items()]
    words += [f"--add-host={name}:{address}" for name, address in run["hosts"].items()]
    if run["command"]:
        words.append(f"--entrypoint={json.dumps(run['command'])}")
    return [*words, image, *run["arguments"]]


def main(arguments: Sequence[str]) -> int:
    """Run the container until it ends, or until SIGTERM has ended it; return its exit code."""
    store, image, file = arguments
    engine, run = Engine(Path(store)), json.loads(Path(file).read_text("utf-8"))
    child = subprocess.Popen(engine.command(*command(image, run)), env=engine.environment(os.environ))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))  # podman passes it on
    try:
        return child.wait()
    finally:
        with contextlib.suppress(OSError):
            name = container_name(run["name"])
            subprocess.run(
                engine.command("podman", "rm", "--force", "--time=0", "--ignore", name),
                env=engine.environment(os.environ),
                capture_output=True,
                check=False,
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
