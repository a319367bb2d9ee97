"""Other projects' custom resources, judged by their own schemas: Argo CD, Flux, cert-manager and the like.

The schemas come as npm packages of validators compiled from those projects' Go types, taken once into the
cache by the lock file beside this. They do not hold CEL rules: those need the project's own server.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cliproxy_dev.controlplane.find import CannotObtain, cache_dir

HERE: Final = Path(__file__).parent
LOCK: Final = HERE / "package-lock.json"
FETCH_S: Final = 300
JUDGE_S: Final = 60


def obtain() -> Path:
    """Return the folder that holds the packages. Raises `CannotObtain`, saying what is missing."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise CannotObtain("schemas of other projects' kinds: there is no node and npm on this machine")
    tools = cache_dir(os.environ) / "tools"
    target = tools / f"crd-models-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    tools.mkdir(parents=True, exist_ok=True)
    with (tools / "crd-models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _take(npm, target)
    return target


def judge(packages: Path, documents: Sequence[dict[str, Any]]) -> list[list[str] | None]:
    """Return the faults of each document, unknown fields among them; None where no package knows its kind."""
    done = subprocess.run(  # noqa: S603 -- our own script
        [str(shutil.which("node")), str(HERE / "judge.mjs"), str(packages)],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=False,
        timeout=JUDGE_S,
    )
    assert done.returncode == 0, done.stderr
    verdicts: list[list[str] | None] = json.loads(done.stdout)
    return verdicts


def _take(npm: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        scratch = Path(name) / "packages"
        scratch.mkdir()
        for file in ("package.json", LOCK.name):
            shutil.copy(HERE / file, scratch)
        # `ci` installs what the lock says, checked by its hashes; scripts of packages are not run.
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(  # noqa: S603 -- the words are ours
            command, cwd=scratch, capture_output=True, text=True, check=False, timeout=FETCH_S
        )
        if done.returncode != 0:
            raise CannotObtain(f"schemas of other projects' kinds: npm ci: {done.stderr.strip()[-300:]}")
        scratch.rename(target)
