"""docs/licences.md: every package in the images, its version and its licence. `make licences`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cliproxy_dev.release.parts import IMAGES, ROOT, Part, digest, homepage, licence, lock_of, parts

PAGE: Final = ROOT / "docs" / "licences.md"
_MARK: Final = "Locks:"


def page(images: Mapping[str, list[Part]], locks: str) -> str:
    """Return the page; the packages must be installed."""
    lines = [
        "# Licences of what is in the images",
        "",
        "cliproxy-operator is licensed under Apache-2.0. The images hold these Python packages besides,",
        "as pinned in `requirements/`, and CPython and Debian packages of their base image. Made by",
        "`make licences` from what the packages say of themselves; `make sbom` writes it as CycloneDX.",
        "",
        "| package | version | licence | operator | sidecar |",
        "|---|---|---|---|---|",
    ]
    everything = sorted({part.name: part for found in images.values() for part in found}.items())
    for name, part in everything:
        marks = ["yes" if any(one.name == name for one in images[image]) else "" for image in IMAGES]
        where = homepage(name)
        shown = f"[{name}]({where})" if where else name
        lines.append(f"| {shown} | {part.version} | {licence(name)} | {marks[0]} | {marks[1]} |")
    lines += ["", f"{_MARK} `{locks}`", ""]
    return "\n".join(lines)


def is_current(text: str) -> bool:
    """Whether a page was made from the locks as they are."""
    return f"{_MARK} `{digest()}`" in text


def main(target: Path = PAGE) -> int:
    """Write the page."""
    images = {image: parts(lock_of(image).read_text("utf-8")) for image in IMAGES}
    target.write_text(page(images, digest()), "utf-8")
    print(f"wrote {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
