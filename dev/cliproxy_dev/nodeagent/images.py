"""Which images this machine can play, and as what command. Pure.

An image that is not known is played as running without a process: applications do not matter here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

# Repository name without registry and tag -> entry point.
SIDECAR_ONLY: Mapping[str, Sequence[str]] = {"cliproxy-sidecar": (sys.executable, "-m", "cliproxy_sidecar")}


def repository(image: str) -> str:
    """Return the last part of an image's name: `registry:5000/team/app:1@sha256:...` is `app`."""
    return image.split("@", 1)[0].rsplit("/", 1)[-1].split(":", 1)[0]


def entry_point(image: str, known: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return the command that plays `image`, None when it is to be played without a process."""
    command = known.get(repository(image))
    return None if command is None else list(command)
