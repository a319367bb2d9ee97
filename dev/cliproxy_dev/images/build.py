"""Builds both images from their Dockerfiles, and tells sizes and layers.

An image whose sources are the same as those of the one in the store is not built again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cliproxy_api.version import __version__
from cliproxy_dev.controlplane.prepare import only_one
from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.images import base
from cliproxy_dev.images.engine import Engine, ImagesFailed, obtain

ROOT: Final = Path(__file__).resolve().parents[3]
NAMES: Final = ("operator", "sidecar")
EPOCH_S: Final = 1577836800
"""The time of day in the images, 2020-01-01, so that it tells two builds apart no more than we do."""
SOURCES: Final = (
    "pyproject.toml",
    "hatch_build.py",
    "README.md",
    "LICENSE",
    "api",
    "operator",
    "sidecar",
    "cli",
)
CERTIFICATES: Final = Path("/etc/ssl/certs")
MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Image:
    """One image in the store."""

    name: str
    tag: str
    layers: tuple[str, ...]
    """Digests of what the layers hold, the base's first."""
    size_bytes: int
    base_bytes: int

    def __str__(self) -> str:
        """Return one line for people."""
        added = (self.size_bytes - self.base_bytes) / MB
        size = f"{self.size_bytes / MB:.0f} MB, {added:.0f} MB over its base"
        return f"{self.tag}: {size}; layer {self.layers[-1]}"


def build_all(env: Mapping[str, str], progress: Progress, *, again: bool = False) -> dict[str, Image]:
    """Return both images, built if need be; `again`: built anew, from nothing but the base.

    Raises:
        CannotObtain, ImagesFailed: they cannot be.

    """
    engine = obtain(env, progress)
    with only_one(engine.root / "lock-build", "the images", progress):
        tag = base.ensure(engine, progress)
        return {name: _build(engine, name, tag, progress, again=again) for name in NAMES}


def _build(engine: Engine, name: str, base_tag: str, progress: Progress, *, again: bool) -> Image:
    digest = _digest(name, base_tag)
    tag = f"localhost/cliproxy-{name}:{__version__}-{digest[:12]}"
    if again or not engine.ask("buildah", "images", "--quiet", tag, check=False):
        with progress.step(f"building {tag}"):
            engine.work(*_command(engine, name, tag, base_tag, again=again), cwd=ROOT)
        if _digest(name, base_tag) != digest:
            engine.ask("buildah", "rmi", tag)
            raise ImagesFailed(f"the sources of {name} changed while it was built; build again")
    return describe(engine, name, tag)


def _command(engine: Engine, name: str, tag: str, base_tag: str, *, again: bool) -> list[str]:
    words = ["buildah", "bud", "--isolation=chroot", "--network=host", "--format=docker", "--pull-never"]
    words += [f"--timestamp={EPOCH_S}", f"--signature-policy={engine.policy}"]
    words += ["--no-cache"] if again else ["--layers"]
    words += [f"--build-arg=BASE={base_tag}", f"--build-arg=PYTHON={base.PYTHON}"]
    words += [f"--build-arg=VERSION={__version__}", f"--build-arg=REVISION={_revision()}"]
    if CERTIFICATES.is_dir():
        words.append(f"--volume={CERTIFICATES}:{CERTIFICATES}:ro")
    if (settings := pip_settings()) is not None:
        words.append(f"--secret=id=pip,src={settings}")
    return [*words, f"--file=Dockerfile.{name}", f"--tag={tag}", "."]


def describe(engine: Engine, name: str, tag: str) -> Image:
    """Return what is in the store under this tag. Raises `ImagesFailed`."""
    config = json.loads(engine.ask("buildah", "inspect", "--type", "image", tag))
    manifest = json.loads(config["Manifest"])
    sizes = [int(layer["size"]) for layer in manifest["layers"]]
    layers = tuple(config["OCIv1"]["rootfs"]["diff_ids"])
    return Image(name=name, tag=tag, layers=layers, size_bytes=sum(sizes), base_bytes=sizes[0])


def _digest(name: str, base_tag: str) -> str:
    """Return a digest of everything that the image is made from."""
    digest = hashlib.sha256(base_tag.encode())
    for path in _files(name):
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(name: str) -> Iterator[Path]:
    yield ROOT / f"Dockerfile.{name}"
    yield ROOT / "requirements" / f"{name}.txt"
    yield ROOT / "requirements" / "build.txt"
    yield ROOT / "requirements" / "compile.txt"
    for source in SOURCES:
        path = ROOT / source
        if path.is_file():
            yield path
        else:
            yield from sorted(
                one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts
            )


def _revision() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def pip_settings() -> Path | None:
    """Return the machine's own settings of pip, by which it finds its index; None if it has none."""
    command = [sys.executable, "-m", "pip", "config", "debug"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ)).stdout
    for line in told.splitlines():
        path, _, exists = line.strip().partition(", exists: ")
        if exists == "True" and Path(path).is_file():
            return Path(path)
    return None
