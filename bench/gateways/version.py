"""What version a program says it is."""

import asyncio
import re
from pathlib import Path

from gateways import packages

_VERSION = re.compile(r"\b\d+\.\d+(?:\.\d+)?\b")


async def version_of(program: Path) -> str:
    """Return the first version number in what `-v` prints; empty when there is none."""
    child = await asyncio.create_subprocess_exec(
        str(program),
        "-v",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=packages.libraries(program),
    )
    output, _ = await child.communicate()
    found = _VERSION.search(output.decode("utf-8", "replace"))
    return found[0] if found else ""
