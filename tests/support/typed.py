"""A reader's shell, and the commands that pages give a test to type (`<!-- typed by: FILE -->`)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from cliproxy_dev.controlplane.progress import Progress
from cliproxy_dev.controlplane.start import ControlPlane
from cliproxy_dev.pages.commands import Command, commands_of
from cliproxy_dev.pages.programs import stock
from support.cluster import KUBECTL

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
COMMAND_S = 180.0
"""The longest that a page's command may take on a busy machine; those that wait say so themselves."""


def all_commands() -> list[Command]:
    """Return the commands of all pages, in order."""
    found: list[Command] = []
    for page in PAGES:
        found += commands_of(str(page.relative_to(ROOT)), page.read_text("utf-8"))
    return found


async def bash(
    text: str, env: Mapping[str, str], *, within_s: float = COMMAND_S, cwd: Path = ROOT
) -> tuple[int | None, str]:
    """Run a script as a reader in a checkout would; returns its exit code and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        text,
        cwd=cwd,
        env=dict(env),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), timeout=within_s)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, said.decode("utf-8", "replace")


def stocked(home: Path) -> str:
    """Return a folder, to stand last on PATH, with what pages take for granted and this machine lacks."""
    folder = home / "lacking"
    folder.mkdir()
    stock(folder, os.environ, Progress(sys.__stderr__))
    return str(folder)


def reader(
    plane: ControlPlane, home: Path, *, namespace: str = "", programs: Path | None = None
) -> dict[str, str]:
    """Return the environment of a reader's shell: the checkout's tools, a home, this cluster and namespace.

    `programs` is a folder of more tools.
    """
    home.mkdir(exist_ok=True)
    config = yaml.safe_load(plane.kubeconfig.read_text("utf-8"))
    if namespace:
        config["contexts"][0]["context"]["namespace"] = namespace
    (home / "kubeconfig").write_text(yaml.safe_dump(config), "utf-8")
    more = [str(programs)] if programs else []
    path = ":".join([*more, str(KUBECTL.parent), os.environ["PATH"], stocked(home)])
    return {"PATH": path, "HOME": str(home), "KUBECONFIG": str(home / "kubeconfig")}


class Typist:
    """Types the commands that a page gives to one test, in their order; at the end none may be left.

    `with Typist(__file__, "docs/start.md", env) as typist: await typist.rest()`
    """

    def __init__(
        self,
        file: str,
        page: str,
        env: Mapping[str, str],
        *,
        changed: Callable[[str], str] = lambda text: text,
    ) -> None:
        """`changed` puts this test's terms, such as a kind's other name, into a command first."""
        name = str(Path(file).relative_to(ROOT))
        text = (ROOT / page).read_text("utf-8")
        self._last: Command | None = None
        self._left = [one for one in commands_of(page, text) if one.typist == name]
        self._env = env
        self._changed = changed
        assert self._left, f"{page} has no block marked `typed by: {name}`"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            assert not self._left, "not typed: " + "; ".join(map(str, self._left))

    async def next(self, beginning: str) -> str:
        """Type the next command, which begins so; returns what it printed."""
        command = self._left.pop(0)
        assert command.text.startswith(beginning), f"{command}; the test expected {beginning!r}"
        return await self._type(command)

    async def again(self) -> str:
        """Type once more what was typed last."""
        assert self._last is not None, "nothing has been typed yet"
        return await self._type(self._last)

    async def typed(self, text: str) -> str:
        """Type what a program has told to type; returns what was printed."""
        return await self._type(Command(page="", line=0, text=text))

    async def rest(self) -> str:
        """Type all that is left; returns what was printed."""
        said = ""
        while self._left:
            said += await self._type(self._left.pop(0))
        return said

    async def _type(self, command: Command) -> str:
        self._last = command
        text = self._changed(command.text)
        code, said = await bash(f"set -euo pipefail\n{text}\n", self._env)
        print(f"$ {text}\n{said}")  # noqa: T201 -- pytest shows the transcript with a failure
        if command.fails:
            assert command.failed_as_told(code, said), f"{command}: did not fail so: {code}\n{said}"
        else:
            assert code == 0, f"{command}: ended with {code}\n{said}"
        return said
