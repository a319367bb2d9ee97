"""A real Alertmanager: it takes our alerts, keeps one per provider, resolves them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from cliproxy_operator.alerts.message import build
from cliproxy_operator.alerts.owed import Owed
from cliproxy_operator.clock import Clock
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.notify.channels import Channels
from cliproxy_operator.notify.http import HttpSender
from cliproxy_operator.notify.outcome import Delivered
from support.alerting import BAD, GOOD, Play
from support.alertmanager import alertmanager, alerts_of
from support.cluster import eventually
from support.objects import alert_rule
from support.receivers import Receiver

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as receiver:
        yield receiver


@pytest.fixture
async def manager(receiver: Receiver, tmp_path: Path) -> AsyncIterator[str]:
    async with alertmanager(f"{receiver.url}/am", tmp_path) as url:
        yield url


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
