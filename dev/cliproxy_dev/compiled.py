"""Builds the wheel with the compiled hot path and unpacks it: `python -m cliproxy_dev.compiled [FOLDER]`.

Whoever has the folder (build/compiled) first on PYTHONPATH runs the compiled sidecar. Nothing is done where
the folder holds what the sources would give. Compiling itself is `hatch_build.py`'s.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "build" / "compiled"
_MADE_FROM: Final = "made-from"
_LIMIT_S: Final = 900.0


class CannotCompile(RuntimeError):
    """The hot path cannot be compiled here; the message says why."""


def compiled(folder: Path = FOLDER) -> Path:
    """Return a folder with the compiled packages, made if need be (one to four minutes).

    Raises:
        CannotCompile: there is no C compiler, or it failed.

    """
    digest = _digest()
    stamp = folder / _MADE_FROM
    if stamp.exists() and stamp.read_text("utf-8") == digest:
        return folder
    if shutil.which("cc") is None:
        raise CannotCompile("there is no C compiler (Debian's packages gcc and python3-dev)")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    with tempfile.TemporaryDirectory(prefix="cliproxy-wheel-") as made:
        done = subprocess.run(
            [*command, made],
            cwd=ROOT,
            env={**os.environ, "CLIPROXY_COMPILED": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT_S,
        )
        if done.returncode != 0:
            raise CannotCompile(f"compiling failed: {(done.stdout + done.stderr)[-2000:]}")
        shutil.rmtree(folder, ignore_errors=True)
        for wheel in Path(made).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
    stamp.write_text(digest, "utf-8")
    return folder


def _digest() -> str:
    """Return a digest of everything that it is made from."""
    digest = hashlib.sha256(sys.version.encode())
    sources = [ROOT / "pyproject.toml", ROOT / "hatch_build.py", ROOT / "requirements" / "compile.txt"]
    for package in ("api", "operator", "sidecar", "cli"):
        sources += sorted((ROOT / package).rglob("*.py"))
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Compile; return the exit code."""
    try:
        folder = compiled(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
    except CannotCompile as error:
        print(error, file=sys.stderr)
        return 1
    print(f"the compiled packages stand in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
