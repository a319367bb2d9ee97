"""A real Alertmanager that hands on to a webhook at once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.tools import tool
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess

SHARE = b"/usr/share/prometheus/alertmanager"


@asynccontextmanager
async def alertmanager(hook: str, folder: Path) -> AsyncIterator[str]:
    """Run one that tells `hook`; the value is its address. Skips the test where it cannot be obtained."""
    try:
        program = tool("prometheus-alertmanager", "usr/bin/prometheus-alertmanager", os.environ)
    except CannotObtain as error:
        pytest.skip(str(error))
    config = {
        "route": {"receiver": "hook", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "hook", "webhook_configs": [{"url": hook}]}],
    }
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    flags = [f"--config.file={path}", f"--storage.path={folder}", f"--web.listen-address={url[7:]}"]
    process = ManagedProcess(
        "alertmanager",
        [str(beside_its_templates(program, folder)), *flags, "--cluster.listen-address="],
        log_path=folder / "am.log",
        cwd=folder,
    )
    process.start()

    async def ready() -> bool:
        try:
            async with session.get(f"{url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    try:
        async with aiohttp.ClientSession() as session:
            await process.wait_ready(ready, within_s=30)
        yield url
    finally:
        await process.stop()


def beside_its_templates(program: Path, folder: Path) -> Path:
    """Return a copy that reads its templates from its working directory.

    Debian's build opens them under /usr/share, where they are only once the package is installed.
    """
    if program.is_relative_to("/usr"):
        return program  # installed: it finds its own
    for template in (program.parents[2] / SHARE.decode()[1:]).glob("*.tmpl"):
        (folder / template.name).write_bytes(template.read_bytes())
    copy = folder / "alertmanager"
    copy.write_bytes(program.read_bytes().replace(SHARE, b"./" * (len(SHARE) // 2)))
    copy.chmod(0o755)
    return copy


async def alerts_of(url: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v2/alerts") as answer:
        found: list[dict[str, Any]] = await answer.json()
        return found
