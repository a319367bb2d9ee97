"""A real Alertmanager: it takes our alerts, keeps one per provider, resolves them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from cliproxy_dev.controlplane.find import CannotObtain
from cliproxy_dev.controlplane.tools import tool
from cliproxy_dev.ports import free_ports
from cliproxy_dev.process import ManagedProcess
from cliproxy_operator.alerts.message import build
from cliproxy_operator.alerts.owed import Owed
from cliproxy_operator.clock import Clock
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.notify.channels import Channels
from cliproxy_operator.notify.http import HttpSender
from cliproxy_operator.notify.outcome import Delivered
from support.alerting import BAD, GOOD, Play
from support.cluster import eventually
from support.objects import alert_rule
from support.receivers import Receiver

SHARE = b"/usr/share/prometheus/alertmanager"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as receiver:
        yield receiver


@pytest.fixture
async def manager(receiver: Receiver, tmp_path: Path) -> AsyncIterator[str]:
    """An Alertmanager that hands on to `receiver` at once; the value is its address."""
    try:
        program = tool("prometheus-alertmanager", "usr/bin/prometheus-alertmanager", os.environ)
    except CannotObtain as error:
        pytest.skip(str(error))
    config = {
        "route": {"receiver": "hook", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "hook", "webhook_configs": [{"url": f"{receiver.url}/am"}]}],
    }
    program = beside_its_templates(program, tmp_path)
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    flags = [f"--config.file={path}", f"--storage.path={tmp_path}", f"--web.listen-address={url[7:]}"]
    process = ManagedProcess(
        "alertmanager",
        [str(program), *flags, "--cluster.listen-address="],
        log_path=tmp_path / "am.log",
        cwd=tmp_path,
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


async def test_alerts_are_kept_up_and_resolved(manager: str, receiver: Receiver) -> None:
    clock = Clock()
    http = HttpSender(clock=clock)
    channels = Channels(http, AddressRules())
    am = {"name": "am", "alertmanager": {"url": manager + "/", "labels": {"team": "platform"}}}
    rule = alert_rule(severity="critical", notifications=[am])
    play = Play(rule)
    begun = clock.utc()

    def judge(**providers: dict[str, float]) -> None:
        """Judge as if it were three seconds later each time, without waiting for it."""
        play.alerts.judge(providers, clock.utc() - timedelta(seconds=30) + timedelta(seconds=3 * len(sent)))

    async def tell(owed: Owed) -> None:
        sent.append(owed)
        message = build(rule, play.alerts, "am", owed, clock.utc())
        assert await channels.deliver(message, rule.spec.notifications[0], {}) == Delivered()

    sent: list[Owed] = []
    try:
        judge(claude=BAD, gpt=BAD)
        await tell(Owed(firing=("claude", "gpt")))
        await tell(Owed(still=("claude", "gpt")))
        await receiver.until(lambda: receiver.got)
        found = await alerts_of(manager)
        assert {one["labels"]["provider"] for one in found} == {"claude", "gpt"}
        assert len(found) == 2, "told twice, kept once"
        assert found[0]["labels"] == {
            "alertname": "failing",
            "namespace": "team",
            "provider": found[0]["labels"]["provider"],
            "severity": "critical",
            "team": "platform",
        }
        assert found[0]["annotations"]["description"] == "error_rate is 50 % (alert if > 5 %)"
        assert found[0]["endsAt"] > begun.isoformat()

        judge(claude=GOOD, gpt=BAD)
        await tell(Owed(over=("claude",), still=("gpt",)))

        def resolved() -> bool:
            return any(
                {one["labels"]["provider"]: one["status"] for one in got.json["alerts"]}.get("claude")
                == "resolved"
                for got in receiver.got
            )

        await receiver.until(resolved)

        async def only_gpt() -> bool:
            return [one["labels"]["provider"] for one in await alerts_of(manager)] == ["gpt"]

        await eventually(only_gpt, what="claude is over")
    finally:
        await http.close()
