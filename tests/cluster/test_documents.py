"""Every command that a page tells readers to type, typed in a checkout on the demonstration's cluster.

Those marked `typed by` are typed by the tests they name; that each of them is, `support.typed` sees to.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from cliproxy_dev.demo.launch import running_world
from cliproxy_dev.demo.layout import NAMESPACE
from cliproxy_dev.demo.narrator import Narrator
from cliproxy_dev.demo.world import World
from cliproxy_dev.pages.commands import Command, strays
from support.typed import PAGES, ROOT, Typist, all_commands, bash, stocked

SIDECAR = "127.0.0.1:8317"
PAGE_S = 120.0
NOT_RUN = {"docs/install.md"}
"""The pages with blocks that no test can run; CONTRIBUTING.md says which and why."""

MADE = {
    "docs/security.md": "made by asking; tests/cluster/test_rights_documented.py asks again",
    "docs/reference/cli.md": "the help of `completion`; tests/unit/cliproxy_cli/test_completion.py loads it",
}
"""Pages with transcripts in blocks of their own."""


def runnable() -> dict[str, list[Command]]:
    """The commands by page, without those that another test types."""
    found: dict[str, list[Command]] = {}
    for command in all_commands():
        if command.is_ordinary:
            found.setdefault(command.page, []).append(command)
    return found


def script(commands: Iterable[Command], sidecar: str) -> str:
    """One bash script for a page: its commands in order, each announced; targets are only looked up."""
    lines = ["set -euo pipefail"]
    for command in commands:
        text = command.text.replace(SIDECAR, sidecar)
        if text.startswith("make "):
            text = text.replace("make ", "make --dry-run ", 1) + " >/dev/null"
        if command.fails:
            text = f"if said=$(exec 2>&1\n{text}\n); then echo 'it did not fail'; exit 1; fi\n"
            text += f"tr -s ' \\n' ' ' <<<\"$said\" | grep -F {shlex.quote(command.fails)}"
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
        "PATH": f"{world.tools}:{os.environ['PATH']}:{stocked(home)}",
        "HOME": str(home),
    }
    code, said = await bash(f"kubectl config set-context --current --namespace {NAMESPACE}", env)
    assert code == 0, said
    return env


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
            code, said = await bash(script(commands, sidecar), env, within_s=PAGE_S)
            if code != 0:
                failures.append(f"{page} ended with {code}:\n{said[-3000:]}")

    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize(
    ("text", "works"),
    [
        ("cat <<'EOF' >&2 && false\nno such\nthing here\nEOF", True),
        ("echo no such thing", False),
        ("echo another trouble; false", False),
    ],
    ids=["as-told", "succeeds", "fails-otherwise"],
)
async def test_a_command_that_is_meant_to_fail_has_to_say_why(text: str, *, works: bool) -> None:
    command = Command("docs/x.md", 1, text, fails="no such thing")

    code, said = await bash(script([command], ""), {"PATH": os.environ["PATH"]})

    assert (code == 0) is works, said


def test_a_block_is_left_out_only_where_nobody_could_run_it() -> None:
    assert {one.page for one in all_commands() if one.reason} == NOT_RUN


def test_no_page_shows_commands_that_no_test_sees() -> None:
    texts = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES}

    found = {name: list(strays(name, text)) for name, text in texts.items()}

    assert {name: lines for name, lines in found.items() if lines and name not in MADE} == {}
    assert all(found[name] for name in MADE), "an exception that nobody needs any more"


def test_a_block_for_another_test_is_typed_there() -> None:
    """A `Typist` types all blocks of a page that name its file; so the file has to have one for the page."""
    given = {(one.typist, one.page) for one in all_commands() if one.typist}

    assert given
    for file, page in given:
        calls = re.findall(r"Typist\(\s*__file__,\s*\"([^\"]+)\"", (ROOT / file).read_text("utf-8"))
        assert page in calls, f"{file} has no Typist for {page}"


async def test_programs_know_the_options_that_pages_name() -> None:
    asked = [one for one in all_commands() if one.options_only]

    assert asked
    for command in asked:
        code, said = await bash(f"{command.text.split(' #')[0]} --help", dict(os.environ))
        assert code == 0, f"{command}: {said}"
        for word in shlex.split(command.text, comments=True):
            if word.startswith("-"):
                assert f"{word.split('=')[0]}" in said, command


def test_a_typist_that_leaves_something_out_fails() -> None:
    file = ROOT / "tests" / "cluster" / "test_version_plan.py"

    with (
        pytest.raises(AssertionError, match=r"not typed: docs/upgrade\.md:\d+: kubectl get"),
        Typist(str(file), "docs/upgrade.md", {}),
    ):
        pass
    with pytest.raises(AssertionError, match=r"README\.md has no block marked `typed by: tests/cluster"):
        Typist(str(file), "README.md", {})
