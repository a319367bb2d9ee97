"""Resolve the locks in requirements/ from pyproject.toml; nothing younger than a week gets in.

Stdlib only. Needs `uv` on the PATH (any recent version); the locks carry hashes and no index address.
"""

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "dev": ["pyproject.toml", "--all-extras"],
    "operator": ["pyproject.toml", "--extra", "operator"],
    "sidecar": ["pyproject.toml", "--extra", "sidecar"],
    "build": ["pyproject.toml", "--extra", "build"],
    "compile": ["pyproject.toml", "--extra", "compile"],
    "audit": ["requirements/audit.in"],  # `make audit`: heavy, and in an environment of its own
}


def main() -> int:
    """Write every lock; return the exit code."""
    uv = shutil.which("uv")
    if uv is None:
        print("uv is not on the PATH; `pipx install uv` (or pip install uv) and try again", file=sys.stderr)
        return 2
    newest = (datetime.now(UTC) - timedelta(days=7)).date().isoformat()  # noqa: TID251 -- a command line tool
    for name, inputs in LOCKS.items():
        target = ROOT / "requirements" / f"{name}.txt"
        print(f"requirements/{name}.txt (releases up to {newest})")
        command = [uv, "pip", "compile", *inputs, "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--exclude-newer", newest]
        subprocess.run([*command, "--quiet", "--output-file", str(target)], cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
