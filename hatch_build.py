"""Compiles the sidecar's hot path into the wheel where it is asked for: `CLIPROXY_COMPILED=1` (ADR 24).

Hatchling calls it for every wheel. Which modules are compiled stands in pyproject.toml; they stay beside what
is made of them, so that a Python that cannot load the machine code runs them as they are.
"""

import ast
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WANTED = "CLIPROXY_COMPILED"
GROUP = "cliproxy_sidecar_hot"
"""Name of the library that holds the code of all modules; the modules' own are but doors to it."""
SOURCES = ("api", "sidecar")


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds machine code to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, if it is wanted; a checkout that is installed in place stays as it is."""
        if version != "standard" or os.environ.get(WANTED, "") in ("", "0"):
            return
        root = Path(self.root)
        self._folder = Path(tempfile.mkdtemp(prefix="cliproxy-compiled-"))
        for library in compiled(root, self.config["modules"], self._folder):
            build_data["force_include"][str(library)] = str(library.relative_to(self._folder / "out"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clear up."""
        del version, build_data, artifact_path
        if (folder := getattr(self, "_folder", None)) is not None:
            shutil.rmtree(folder, ignore_errors=True)


def compiled(root: Path, modules: list[str], folder: Path) -> list[Path]:
    """Compile the modules (paths below `root`) into `folder`/out; return the libraries.

    Raises:
        ValueError: a module holds what would not mean the same when compiled.

    """
    for module in modules:
        refuse_what_changes(root / module)
    # Only here: whoever builds a wheel of plain Python needs neither.
    from mypyc.build import mypycify  # noqa: PLC0415
    from setuptools import Distribution  # noqa: PLC0415
    from setuptools.command.build_ext import build_ext  # noqa: PLC0415

    before = Path.cwd(), os.environ.get("MYPYPATH")
    os.environ["MYPYPATH"] = os.pathsep.join(SOURCES)
    os.chdir(root)
    try:
        options = ["--python-executable", sys.executable, "--cache-dir", str(folder / "types")]
        extensions = mypycify(
            [*options, "--explicit-package-bases", "--strict", *modules],
            opt_level="3",
            debug_level="0",
            group_name=GROUP,
            target_dir=str(folder / "c"),
        )
        command = build_ext(Distribution({"name": GROUP, "ext_modules": extensions}))
        command.build_lib, command.build_temp = str(folder / "out"), str(folder / "objects")
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before[0])
        if before[1] is None:
            del os.environ["MYPYPATH"]
        else:
            os.environ["MYPYPATH"] = before[1]
    return sorted((folder / "out").rglob("*.so"))


def refuse_what_changes(path: Path) -> None:
    """Raise ValueError if a class would lose its options: mypyc drops those of `class A(B, frozen=True)`."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ClassDef) and any(word.arg != "metaclass" for word in node.keywords):
            raise ValueError(f"{path}: class {node.name} has options, which mypyc drops; do not compile it")
