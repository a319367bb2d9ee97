"""Command line of `make images`: build both, print sizes and layers; `--again` builds anew and compares.

`--compiled` gives the sidecar's the compiled hot path (ADR 24).
Exit code 1 with a message on standard error when it cannot be done, or when two builds differ.
"""

from __future__ import annotations

import argparse
import os
import sys

from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.images.build import build_all
from cliproxy_dev.images.engine import ImagesFailed


def main() -> int:
    """Build; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cliproxy_dev.images", description=__doc__)
    parser.add_argument("--again", action="store_true", help="build a second time, and compare the layers")
    parser.add_argument("--compiled", action="store_true", help="compile the sidecar's hot path")
    chosen = parser.parse_args()
    progress = Progress()
    try:
        first = build_all(os.environ, progress, compiled=chosen.compiled)
        for image in first.values():
            print(image)
        if not chosen.again:
            return 0
        second = build_all(os.environ, progress, compiled=chosen.compiled, again=True)
    except (CannotObtain, ImagesFailed) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    differing = [name for name in first if first[name].layers != second[name].layers]
    for name in first:
        print(f"{name}: {'DIFFERENT layers' if name in differing else 'the same layers again'}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
