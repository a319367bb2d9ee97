"""Single programs of Debian packages (Alertmanager, promtool) for tests: found, or unpacked into the cache.

Like the control plane's own: nothing is installed on the system and no packaged service starts. The machine
must be Debian 12 with its mirror at hand; where it is not, `CannotObtain` says so and the test is skipped.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cliproxy_dev.controlplane.debian import Workshop, check_machine
from cliproxy_dev.controlplane.find import CannotObtain, cache_dir

NEEDED_BYTES: Final = 300 << 20


def tool(package: str, program: str, env: Mapping[str, str]) -> Path:
    """Return a program, such as `usr/bin/promtool` of `prometheus`. Raises `CannotObtain`.

    From PATH if it is there, else with the package's other files beside it as the package lays them out.
    """
    on_path = shutil.which(Path(program).name, path=env.get("PATH", os.defpath))
    if on_path is not None:
        return Path(on_path)
    folder = cache_dir(env) / "tools"
    target = folder / package / program
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_file():
                _take(package, program, folder, env)
    except OSError as error:
        raise CannotObtain(f"{package}: {error}") from error
    return target


def _take(package: str, program: str, folder: Path, env: Mapping[str, str]) -> None:
    log_path = folder / f"{package}.log"
    with tempfile.TemporaryDirectory(dir=folder) as name:
        scratch = Path(name)
        codename = check_machine(scratch, needed_bytes=NEEDED_BYTES, what=package)
        workshop = Workshop(scratch, log_path, env, what=package)
        workshop.fetch_programs(codename, (package,), (package,))
        root = workshop.unpack_programs()
        if not (root / program).is_file():
            raise CannotObtain(f"{package}: has no {program}")
        root.rename(folder / package)
    log_path.unlink(missing_ok=True)
