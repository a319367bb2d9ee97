"""Which images this machine can play, and as what command. Pure.

An image that is not known is played as running without a process: applications do not matter here.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Repository name without registry and tag -> entry point.
SIDECAR_ONLY: Mapping[str, Sequence[str]] = {"cliproxy-sidecar": (sys.executable, "-m", "cliproxy_sidecar")}


@dataclass(frozen=True, slots=True)
class Player:
    """Plays the image as a real container: one argument is added, a file of JSON with the `Run`."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mount:
    """A place of this machine as the container sees it."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Run:
    """What a pod wants of one of its containers."""

    name: str
    command: tuple[str, ...]
    """Empty: the image's own."""
    arguments: tuple[str, ...]
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    hosts: Mapping[str, str]
    """Names that the cluster's DNS would know, and an address for each."""


Entry = Sequence[str] | Player


def repository(image: str) -> str:
    """Return the last part of an image's name: `registry:5000/team/app:1@sha256:...` is `app`."""
    return image.split("@", 1)[0].rsplit("/", 1)[-1].split(":", 1)[0]


def entry_point(image: str, known: Mapping[str, Entry]) -> list[str] | Player | None:
    """Return the command or the player of `image`, None when it is to be played without a process."""
    entry = known.get(repository(image))
    return entry if entry is None or isinstance(entry, Player) else list(entry)
