"""A software bill of materials for each image, in CycloneDX 1.6 JSON. `make sbom` writes build/sbom/.

From the locks alone, so that the same release gives the same bytes; licences from installed metadata. What
the base image brings is its distributor's to list.
Source: cyclonedx.org/docs/1.6/json (read 2026-11-21).
"""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any, Final

from cliproxy_api.version import __version__
from cliproxy_dev.release.parts import IMAGES, ROOT, UNKNOWN, Part, homepage, licence, lock_of, parts

TARGET: Final = ROOT / "build" / "sbom"
_NAMES: Final = uuid.UUID("6f0d4d0e-7c0a-5c59-9c2b-0d1f4a0b8a11")
"""Of our serial numbers: version 5 UUIDs of what they are about."""


def document(image: str, lock: str) -> dict[str, Any]:
    """Return an image's bill of materials; the packages must be installed."""
    name = f"cliproxy-{image}"
    found = parts(lock)
    own = f"pkg:pypi/cliproxy-operator@{__version__}?extra={image}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMES, f'{name}@{__version__} {lock}')}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": own,
                "name": name,
                "version": __version__,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": [component(part) for part in found],
        "dependencies": [
            {"ref": own, "dependsOn": [part.purl for part in found]},
            *({"ref": part.purl} for part in found),
        ],
    }


def component(part: Part) -> dict[str, Any]:
    """Return one package."""
    entry: dict[str, Any] = {
        "type": "library",
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
    }
    if (name := licence(part.name)) != UNKNOWN:
        entry["licenses"] = [{"license": {"name": name}}]
    references: list[dict[str, Any]] = []
    if where := homepage(part.name):
        references.append({"type": "website", "url": where})
    # Each file that pip may take, wheels and the source: one of these digests is what is installed.
    references += [
        {
            "type": "distribution",
            "url": part.purl,
            "hashes": [{"alg": "SHA-256", "content": one}],
        }
        for one in part.hashes
    ]
    if references:
        entry["externalReferences"] = references
    return entry


def main(target: Path = TARGET) -> int:
    """Write one file for each image."""
    target.mkdir(parents=True, exist_ok=True)
    for image in IMAGES:
        path = target / f"cliproxy-{image}.cdx.json"
        found = document(image, lock_of(image).read_text("utf-8"))
        path.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        print(f"wrote {path}: {len(found['components'])} components")
    return 0


if __name__ == "__main__":
    sys.exit(main())
