"""One outage, four rules, every kind of receiver, two operators and a leader killed in the middle.

One page and one resolve each, at a real Alertmanager, a real SMTP server, and as Slack and PagerDuty see it.
"""

from __future__ import annotations

import email
import email.policy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.report import Probed, ProviderTraffic, Report, Traffic
from cliproxy_dev.controlplane.start import ControlPlane
from support import postbox
from support.alertmanager import alertmanager
from support.cluster import eventually
from support.fakesidecar import FakeSidecar
from support.operatorproc import OperatorProcess, Shop
from support.receivers import Got, Receiver

pytestmark = pytest.mark.timeout(240)

RULES = {
    "error-rate": "error_rate > 5%",
    "provider-down": 'provider_health == "unhealthy"',
    "rate-limit": "rate_limit_count > 10",
    "slow": "p95_latency > 5s",
}


class Outage:
    """A provider seen by one sidecar, good or bad."""

    def __init__(self, shop: Shop, fake: FakeSidecar) -> None:
        self._fake, self._id = fake, f"{shop.namespace}/claude"

    def tell(self, *, bad: bool) -> None:
        """Tell all that a sidecar would."""
        figures = (
            ProviderTraffic(requests=100, errors=50, rate_limited=30, latency_buckets={30_000: 100})
            if bad
            else ProviderTraffic(requests=100, latency_buckets={100: 100})
        )
        reports: tuple[Report, ...] = (
            Traffic(providers={self._id: figures}),
            Probed(provider=self._id, ok=not bad, healthy=not bad, latency_ms=5, error="503" if bad else ""),
        )
        for report in reports:
            self._fake.tell(report)


def channels(web: Receiver, manager: str, smtp_port: int) -> list[dict[str, Any]]:
    def ref(key: str) -> dict[str, str]:
        return {"name": "channels", "key": key}

    return [
        {"name": "slack", "slack": {"webhookSecretRef": ref("slack")}},
        {"name": "pager", "pagerduty": {"routingKeySecretRef": ref("pager"), "url": f"{web.url}/pager"}},
        {"name": "am", "alertmanager": {"url": manager}},
        {
            "name": "mail",
            "email": {
                "to": ["oncall@example.com"],
                "from": "alerts@example.com",
                "smtpHost": f"127.0.0.1:{smtp_port}",
                "username": postbox.USER,
                "passwordSecretRef": ref("mail"),
            },
        },
    ]


def by_path(web: Receiver, path: str) -> list[Got]:
    return [got for got in web.got if got.path == path]


def pages(web: Receiver) -> Counter[tuple[str, str]]:
    return Counter((got.json["dedup_key"], got.json["event_action"]) for got in by_path(web, "/pager"))


def slack_heads(web: Receiver) -> Counter[str]:
    return Counter(got.json["text"].split("]")[0] + "]" for got in by_path(web, "/slack"))


def subjects(box: postbox.Postbox) -> Counter[str]:
    parsed = [email.message_from_bytes(raw, policy=email.policy.default) for _, raw in box.mails]
    return Counter(str(one["Subject"]) for one in parsed)


def handed_on(web: Receiver) -> set[tuple[str, str]]:
    """What the Alertmanager told its own receiver: (rule, status)."""
    return {
        (alert["labels"]["alertname"], alert["status"])
        for got in by_path(web, "/am")
        for alert in got.json["alerts"]
    }


async def test_one_page_and_one_resolve_each(
    control_plane: ControlPlane, crds: object, namespace: str, tmp_path: Path
) -> None:
    env = {"SSL_CERT_FILE": str(postbox.AUTHORITY)}
    with postbox.serving() as (box, smtp_port):
        async with (
            Receiver().serving() as web,
            alertmanager(f"{web.url}/am", tmp_path) as manager,
            control_plane.api() as api,
            OperatorProcess(control_plane, namespace, tmp_path, env=env) as first,
            OperatorProcess(
                control_plane,
                namespace,
                tmp_path,
                env=env | {"CLIPROXY_CONTROL_PORT": str(first.control_port)},
            ) as second,
        ):
            shop = Shop(api, namespace)

            async def leader() -> OperatorProcess | None:
                for one in (first, second):
                    if one.process.pid is not None and (await one.metric("cliproxy_operator_leader")) == 1:
                        return one
                return None

            await first.process.wait_ready(lambda: answers(first), within_s=30)
            await second.process.wait_ready(lambda: answers(second), within_s=30)
            leading = await eventually(leader, within_s=30, what="a leader")
            assert leading is not None
            await shop.secret()
            await shop.secret(
                "channels", slack=f"{web.url}/slack", pager="planted-key", mail=postbox.PASSWORD
            )
            async with shop.sidecar(first) as fake:
                await shop.provider("claude")
                for name, condition in RULES.items():
                    spec = {"condition": condition, "severity": "critical", "duration": "2s"}
                    await shop.apply(
                        "AlertRule", name, spec | {"notifications": channels(web, manager, smtp_port)}
                    )
                await fake.until(lambda: fake.snapshot and fake.snapshot.snapshot.providers)
                outage = Outage(shop, fake)
                outage.tell(bad=False)

                outage.tell(bad=True)
                await eventually(
                    lambda: everybody(shop, 4), within_s=60, what="all channels know of all alerts"
                )
                firing = {(name, "firing") for name in RULES}
                await web.until(lambda: handed_on(web) >= firing)

                epoch = fake.newest_epoch
                await leading.kill()
                other = second if leading is first else first
                await fake.until(lambda: fake.newest_epoch > epoch and fake.read, within_s=40)
                outage.tell(bad=True)
                await eventually(lambda: judges(other), within_s=40, what="the other judges")
                await renewals(other, 6)
                assert set(pages(web).values()) == {1}, "nobody is paged again"
                assert len(by_path(web, "/slack")) == len(box.mails) == 4

                outage.tell(bad=False)
                await eventually(lambda: everybody(shop, 0), within_s=60, what="all channels know it is over")
                await web.until(lambda: handed_on(web) >= {(name, "resolved") for name in RULES})

            told = pages(web)
            keys = {key for key, _ in told}
            assert len(keys) == 4
            assert told == Counter({(key, action): 1 for key in keys for action in ("trigger", "resolve")})
            assert slack_heads(web) == Counter({"[FIRING]": 4, "[RESOLVED]": 4})
            where = f"{namespace}/"
            wanted = {
                f"[{word}] {where}{name} (critical): claude"
                for word in ("FIRING", "RESOLVED")
                for name in RULES
            }
            assert subjects(box) == Counter(dict.fromkeys(wanted, 1))
            assert handed_on(web) == {(name, word) for name in RULES for word in ("firing", "resolved")}
            everything = (
                first.log() + second.log() + str([await shop.get("AlertRule", name) for name in RULES])
            )
            assert postbox.PASSWORD not in everything
            assert "planted-key" not in everything


async def answers(operator: OperatorProcess) -> bool:
    try:
        await operator.metric("cliproxy_operator_leader")
    except OSError:
        return False
    return True


async def everybody(shop: Shop, channels_told: int) -> bool:
    """Whether so many channels know of claude's alert, for every rule."""
    for name in RULES:
        entries = (await shop.status(name, "AlertRule")).get("providers") or [{}]
        if len(entries[0].get("told") or []) != channels_told:
            return False
    return True


async def judges(operator: OperatorProcess) -> bool:
    return await operator.metric("cliproxy_alerts", state="firing") == len(RULES)


async def renewals(operator: OperatorProcess, count: int) -> None:
    """Let so many renewals of the lease go by: about as many seconds."""
    begun = await operator.metric("cliproxy_operator_api_writes_total", kind="Lease")

    async def look() -> bool:
        return await operator.metric("cliproxy_operator_api_writes_total", kind="Lease") >= begun + count

    await eventually(look, within_s=40)
