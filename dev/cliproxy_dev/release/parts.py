"""The packages of an image, as its lock pins them, with what their installed metadata says of licences.

Read from requirements/*.txt, which the images install with hashes, so the list is what runs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).resolve().parents[3]
IMAGES: Final = ("operator", "sidecar")
LINUX: Final = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
"""Images are Linux; markers for other systems do not hold."""
UNKNOWN: Final = "see the package"
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_CLASSIFIER: Final = "License :: OSI Approved :: "
_SHORT: Final = {
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
}
_ALIASES: Final = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "The MIT License": "MIT",
    "BSD": "BSD",
}
MAX_NAME_CHARS: Final = 60
"""Longer is the licence's text, not its name."""


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One pinned package."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    """sha256 of each file that may be installed."""

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


def lock_of(image: str) -> Path:
    """Return the lock of an image."""
    return ROOT / "requirements" / f"{image}.txt"


def digest(images: Iterable[str] = IMAGES) -> str:
    """Return one digest of the locks: whatever is made from them says it, so that a test sees it grow old."""
    whole = hashlib.sha256()
    for image in images:
        whole.update(lock_of(image).read_bytes())
    return whole.hexdigest()


def parts(lock: str) -> list[Part]:
    """Return what a lock pins for Linux, by name."""
    return sorted(_parts(lock))


def _parts(lock: str) -> Iterator[Part]:
    for entry in lock.replace("\\\n", " ").splitlines():
        text = entry.partition(" --hash")[0].strip()
        if not text or text.startswith("#"):
            continue
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate(dict(LINUX)):
            continue
        (pin,) = requirement.specifier
        yield Part(requirement.name.lower(), pin.version, tuple(_HASH.findall(entry)))


def licence(name: str) -> str:
    """Return an installed package's licence: its SPDX expression if it says one, else the name it gives."""
    found = metadata.metadata(name)
    if expression := _first(found, "License-Expression"):
        return expression
    classes = [one.removeprefix(_CLASSIFIER) for one in found.get_all("Classifier", []) if _CLASSIFIER in one]
    if classes:
        return " AND ".join(sorted({_SHORT.get(one, one) for one in classes}))
    stated = _first(found, "License").strip()
    if stated and "\n" not in stated and len(stated) <= MAX_NAME_CHARS:
        return _ALIASES.get(stated, stated)
    return UNKNOWN


def homepage(name: str) -> str:
    """Return where an installed package lives; empty if it does not say."""
    found = metadata.metadata(name)
    for entry in found.get_all("Project-URL", []):
        label, _, url = entry.partition(",")
        if label.strip().lower() in ("homepage", "source", "repository", "source code", "github"):
            return str(url.strip())
    return _first(found, "Home-page")


def _first(found: metadata.PackageMetadata, field: str) -> str:
    """Return a field's value, empty if the package does not say."""
    return str(found[field]) if field in found else ""
