"""Builds both images from their Dockerfiles, and tells sizes and layers.

An image whose sources are the same as those of the one in the store is not built again. What may leave the
store afterwards is `store`'s.
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
from cliproxy_dev.images import base, store
from cliproxy_dev.images.engine import Engine, ImagesFailed, obtain

ROOT: Final = Path(__file__).resolve().parents[3]
NAMES: Final = ("operator", "sidecar")
COMPILABLE: Final = ("sidecar",)
"""Which of them have a form with a compiled hot path (ADR 24)."""
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


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one image is made from: the sources, and these."""

    name: str
    base: str
    builder: str | None
    """Tag of the base that has a compiler; None: the image stays plain Python."""

    def digest(self) -> str:
        """Return a digest of everything that the image is made from."""
        digest = hashlib.sha256(f"{self.base}\0{self.builder}".encode())
        for path in _files(self.name):
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def tag(self, digest: str) -> str:
        """Return the tag, which says by itself whether the image is compiled."""
        compiled = f"{store.COMPILED}-" if self.builder else ""
        return f"localhost/cliproxy-{self.name}:{__version__}-{compiled}{digest[:12]}"

    def arguments(self) -> list[str]:
        """Return the words of buildah that are this recipe's."""
        words = [f"--build-arg=BASE={self.base}", f"--file={ROOT / f'Dockerfile.{self.name}'}"]
        return (
            [*words, f"--build-arg=BUILDER={self.builder}", "--build-arg=COMPILED=1"]
            if self.builder
            else words
        )


def wheels_of(tag: str) -> str:
    """Return the tag of the stage that makes an image's wheels: what has a name stays, to build on."""
    return tag.replace(":", "-wheels:")


def build_all(
    env: Mapping[str, str], progress: Progress, *, compiled: bool = False, again: bool = False
) -> dict[str, Image]:
    """Return both images, built if need be; what the store held of former sources is removed.

    `compiled`: those that can be have the compiled hot path. `again`: built anew, from nothing but the base.

    Raises:
        CannotObtain, ImagesFailed: they cannot be.

    """
    engine = obtain(env, progress)
    with only_one(engine.root / "lock-build", "the images", progress):
        plain = base.ensure(engine, base.PLAIN, progress)
        builder = base.ensure(engine, base.BUILDER, progress) if compiled else None
        recipes = [Recipe(name, plain, builder if name in COMPILABLE else None) for name in NAMES]
        images = {one.name: _build(engine, one, progress, again=again) for one in recipes}
        used = [plain, *([builder] if builder else [])]
        used += [tag for image in images.values() for tag in (image.tag, wheels_of(image.tag))]
        store.clear(engine, used, progress)
        return images


def _build(engine: Engine, recipe: Recipe, progress: Progress, *, again: bool) -> Image:
    digest = recipe.digest()
    tag = recipe.tag(digest)
    if again or not engine.ask("buildah", "images", "--quiet", tag, check=False):
        with progress.step(f"building {tag}"):
            if not again:
                engine.work(*_command(engine, recipe, wheels_of(tag), "--layers", "--target=wheels"))
            engine.work(*_command(engine, recipe, tag, "--no-cache" if again else "--layers"))
        if recipe.digest() != digest:
            engine.ask("buildah", "rmi", tag)
            raise ImagesFailed(f"the sources of {recipe.name} changed while it was built; build again")
    return describe(engine, recipe.name, tag)


def _command(engine: Engine, recipe: Recipe, tag: str, *more: str) -> list[str]:
    words = ["buildah", "bud", "--isolation=chroot", "--network=host", "--format=docker", "--pull-never"]
    words += [f"--timestamp={EPOCH_S}", f"--signature-policy={engine.policy}"]
    words += [*more, *recipe.arguments(), f"--build-arg=PYTHON={base.PYTHON}"]
    words += [f"--build-arg=VERSION={__version__}", f"--build-arg=REVISION={_revision()}"]
    if CERTIFICATES.is_dir():
        words.append(f"--volume={CERTIFICATES}:{CERTIFICATES}:ro")
    if (settings := pip_settings()) is not None:
        words.append(f"--secret=id=pip,src={settings}")
    return [*words, f"--tag={tag}", str(ROOT)]


def describe(engine: Engine, name: str, tag: str) -> Image:
    """Return what is in the store under this tag. Raises `ImagesFailed`."""
    config = json.loads(engine.ask("buildah", "inspect", "--type", "image", tag))
    manifest = json.loads(config["Manifest"])
    sizes = [int(layer["size"]) for layer in manifest["layers"]]
    layers = tuple(config["OCIv1"]["rootfs"]["diff_ids"])
    return Image(name=name, tag=tag, layers=layers, size_bytes=sum(sizes), base_bytes=sizes[0])


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
