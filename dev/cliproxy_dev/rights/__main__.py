"""Ask a local control plane who may do what, print it and write docs/security.md (`make rights`)."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.rights import document

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "security.md"


async def _ask() -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="cliproxy-rights-") as folder:
        async with ControlPlane(Path(folder)) as plane:
            return await document.sections(plane)


def main() -> int:
    """Ask and print; write unless `--dry`."""
    parser = argparse.ArgumentParser(prog="make rights", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--dry", action="store_true", help="print only")
    arguments = parser.parse_args()
    page = DOCUMENT.read_text("utf-8")
    for name, section in asyncio.run(_ask()).items():
        print(f"\n{section}", flush=True)
        page = document.replace(page, name, section)
    if not arguments.dry:
        DOCUMENT.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
