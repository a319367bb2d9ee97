"""Command line: find redis-server or obtain it. Exit code 1 with a message when it cannot be had."""

from __future__ import annotations

import os
import sys

from cliproxy_dev.controlplane.find import Unavailable
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.debianprogram import prepare
from cliproxy_dev.redisserver import REDIS


def main() -> int:
    """Do it; returns the exit code."""
    try:
        found = prepare(REDIS, os.environ, Progress())
    except Unavailable as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"redis: {found.program} from {found.origin}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
