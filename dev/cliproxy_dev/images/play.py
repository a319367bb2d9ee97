"""Entry point for the node agent: plays a pod's container as a real container, under podman.

`python -m cliproxy_dev.images.play STORE IMAGE [ARGUMENTS]`. The container is given this process's variables
and, at the same places, the pod's volumes that those name; it has a read-only root, no capabilities and no
shell that could be run. It shares the machine's network, as pods here are told apart by loopback addresses.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from cliproxy_dev.images.engine import Engine

VOLUME_PREFIX: Final = "CLIPROXY_VOLUME_"
KEPT_BACK: Final = frozenset({"PATH", "LANG", "LC_ALL", "TZ", "HOME", "CLIPROXY_CACHE"})
SHELLS: Final = ("/usr/bin/dash", "/usr/bin/bash")
"""Of the stand-in base, made unusable: an image that needs one to run would be found out."""
HARDENED: Final = (
    "--network=host",
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--no-healthcheck",
    "--pull=never",
)
WRITABLE: Final = frozenset({"CLIPROXY_STATE_DIR"})
"""Variables that name a place below a volume which is written to; other volumes are read-only."""


def command(name: str, image: str, arguments: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """Return podman's words that run the container with these variables and volumes."""
    words = ["podman", "run", "--rm", f"--name={name}", *HARDENED, *_volumes(env)]
    words += [f"--volume=/dev/null:{shell}:ro" for shell in SHELLS]
    words += [f"--env={key}={value}" for key, value in env.items() if key not in KEPT_BACK]
    return [*words, image, *arguments]


def _volumes(env: Mapping[str, str]) -> Iterator[str]:
    written = {value for key, value in env.items() if key in WRITABLE}
    for key, place in env.items():
        if key.startswith(VOLUME_PREFIX):
            mode = "rw" if any(path == place or path.startswith(f"{place}/") for path in written) else "ro"
            yield f"--volume={place}:{place}:{mode}"


def main(arguments: Sequence[str]) -> int:
    """Run the container until it ends, or until SIGTERM has ended it; return its exit code."""
    store, image, *rest = arguments  # the store is told: a pod's HOME is not ours
    engine = Engine(Path(store))
    name = f"cliproxy-{uuid.uuid4().hex[:12]}"
    child = subprocess.Popen(
        engine.command(*command(name, image, rest, os.environ)), env=engine.environment({"HOME": "/root"})
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))  # podman passes it on
    try:
        return child.wait()
    finally:
        with contextlib.suppress(OSError):
            subprocess.run(
                engine.command("podman", "rm", "--force", "--time=0", "--ignore", name),
                env=engine.environment({"HOME": "/root"}),
                capture_output=True,
                check=False,
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
