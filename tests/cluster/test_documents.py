"""Every command that a page tells readers to type, typed in a checkout on the demonstration's cluster."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import NAMESPACE
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World
from cliproxy_dev.pages.commands import Command, commands_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
SIDECAR = "127.0.0.1:8317"
PAGE_S = 120.0


def runnable() -> dict[str, list[Command]]:
    """The commands by page, without those that say why no test runs them."""
    found: dict[str, list[Command]] = {}
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        commands = [one for one in commands_of(name, page.read_text("utf-8")) if not one.reason]
        if commands:
            found[name] = commands
    return found


def script(commands: Iterable[Command], sidecar: str) -> str:
    """One bash script for a page: its commands in order, each announced; targets are only looked up."""
    lines = ["set -euo pipefail"]
    for command in commands:
        text = command.text.replace(SIDECAR, sidecar)
        if text.startswith("make "):
            text = text.replace("make ", "make --dry-run ", 1) + " >/dev/null"
        lines += [f"echo '>>> {command.page}:{command.line}'", text]
    return "\n".join(lines) + "\n"


async def environment(world: World, tmp_path: Path) -> dict[str, str]:
    """A reader's shell: the checkout's tools, the demonstration's cluster and namespace."""
    home = tmp_path / "home"
    home.mkdir()
    kubeconfig = home / "kubeconfig"
    shutil.copy(world.plane.kubeconfig, kubeconfig)
    env = {
        **world.environment,
        "KUBECONFIG": str(kubeconfig),
        "PATH": f"{world.tools}:{os.environ['PATH']}",
        "HOME": str(home),
    }
    code, said = await typed(f"kubectl config set-context --current --namespace {NAMESPACE}", env)
    assert code == 0, said
    return env


async def typed(text: str, env: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        text,
        cwd=ROOT,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), timeout=PAGE_S)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, said.decode("utf-8", "replace")


async def until_healthy(world: World) -> None:
    while not await world.all_healthy():  # noqa: ASYNC110 -- the status of a real cluster
        await asyncio.sleep(0.1)


@pytest.mark.timeout(600)
async def test_every_command_of_every_page_works(tmp_path: Path) -> None:
    pages = runnable()
    assert "README.md" in pages
    assert "docs/start.md" in pages
    failures = []
    async with running_world(tmp_path, Narrator()) as world:
        async with asyncio.timeout(60):
            await until_healthy(world)
        env = await environment(world, tmp_path)
        sidecar = world.proxy_url("app-1").removeprefix("http://")
        for page, commands in pages.items():
            code, said = await typed(script(commands, sidecar), env)
            if code != 0:
                failures.append(f"{page} ended with {code}:\n{said[-3000:]}")

    assert not failures, "\n\n".join(failures)
