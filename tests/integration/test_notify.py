"""One message to every kind of receiver: HTTP ones that check it or misbehave, a real SMTP server."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from cliproxy_api.resources.alertrule import Notification
from cliproxy_api.vocabulary import Severity
from cliproxy_dev.ports import free_ports
from cliproxy_operator.alerts.message import Line, Message, Reading
from cliproxy_operator.clock import Clock
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.notify.channels import Channels
from cliproxy_operator.notify.http import HttpSender
from cliproxy_operator.notify.outcome import Delivered, Later, Never
from support.objects import alert_rule
from support.postbox import AUTHORITY, PASSWORD, Postbox, serving
from support.receivers import Receiver

NOW = datetime(2026, 11, 21, 12, 10, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=10)
SECRET = PASSWORD
SECRETS = {"team/channel/key": Hidden(SECRET)}
REF = {"name": "channel", "key": "key"}
READINGS = (Reading("error_rate", 0.42, ">", 0.05),)
FIRING = Line("claude", firing=True, since=SINCE, until=None, readings=READINGS, told_before=None)
OVER = Line("gpt", firing=False, since=SINCE, until=NOW, readings=READINGS, told_before=SINCE)


def message(*, firing: tuple[Line, ...] = (FIRING,), over: tuple[Line, ...] = ()) -> Message:
    return Message(
        namespace="team",
        rule="failing",
        uid="uid-1",
        channel="hook",
        severity=Severity.CRITICAL,
        condition="error_rate > 5% && requests_per_minute > 10",
        firing=firing,
        over=over,
        still=(),
        now_utc=NOW,
    )


def channel(**receiver: Any) -> Notification:
    return alert_rule(notifications=[{"name": "hook", **receiver}]).spec.notifications[0]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver().serving() as receiver:
        yield receiver


@pytest.fixture
async def channels() -> AsyncIterator[Channels]:
    http = HttpSender(clock=Clock(), timeout_s=1.0)
    yield Channels(http, AddressRules())
    await http.close()


def webhook(receiver: Receiver, *, signed: bool = False) -> Notification:
    return channel(webhook={"url": f"{receiver.url}/hook"} | ({"secretRef": REF} if signed else {}))


async def test_a_webhook_gets_everything_and_a_signature_that_can_be_checked(
    channels: Channels, receiver: Receiver
) -> None:
    sent = message(over=(OVER,))
    assert await channels.deliver(sent, webhook(receiver, signed=True), SECRETS) == Delivered()
    got = receiver.got[0]
    signed = got.headers["x-cliproxy-timestamp"].encode() + b"." + got.body
    wanted = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert got.headers["x-cliproxy-signature"] == wanted
    assert got.headers["x-cliproxy-id"] == got.json["id"] == sent.id
    assert got.json["status"] == "firing"
    firing, over = got.json["alerts"]
    assert (firing["provider"], firing["status"], firing["since"]) == (
        "claude",
        "firing",
        "2026-11-21T12:00:00Z",
    )
    assert firing["figures"][0]["text"] == "error_rate is 42 % (alert if > 5 %)"
    assert (over["status"], over["until"], over["lastedSeconds"]) == ("resolved", "2026-11-21T12:10:00Z", 600)
    assert "kubectl -n team describe llmproviders.cliproxy.io claude" in got.json["lookFurther"]
    assert SECRET not in got.body.decode()


async def test_an_unsigned_webhook_has_no_signature(channels: Channels, receiver: Receiver) -> None:
    assert await channels.deliver(message(), webhook(receiver), {}) == Delivered()
    assert "x-cliproxy-signature" not in receiver.got[0].headers


async def test_slack_gets_text_that_cannot_mention_anybody(channels: Channels, receiver: Receiver) -> None:
    slack = channel(slack={"webhookSecretRef": REF, "channel": "#llm"})
    secrets = {"team/channel/key": Hidden(f"{receiver.url}/services/T0/B0/planted")}
    assert await channels.deliver(message(), slack, secrets) == Delivered()
    got = receiver.got[0]
    assert got.path == "/services/T0/B0/planted"
    assert got.json["channel"] == "#llm"
    assert got.json["text"] == "[FIRING] team/failing (critical): claude"
    text = got.json["attachments"][0]["text"]
    assert "error_rate is 42 % (alert if &gt; 5 %); firing since 2026-11-21T12:00:00Z" in text
    assert "&amp;&amp;" in text
    assert "kubectl -n team describe llmproviders.cliproxy.io claude" in text
    assert got.json["attachments"][0]["color"] == "#a30200"


async def test_pagerduty_is_triggered_and_resolved_under_one_key(
    channels: Channels, receiver: Receiver
) -> None:
    pager = channel(pagerduty={"routingKeySecretRef": REF, "url": f"{receiver.url}/v2/enqueue"})
    receiver.answers = [202, 202, 202]
    for sent in (message(), message(over=(OVER,)), message(firing=(), over=(OVER,))):
        assert await channels.deliver(sent, pager, SECRETS) == Delivered()
    events = [got.json for got in receiver.got]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {"cliproxy/uid-1/team/failing"}
    assert {event["routing_key"] for event in events} == {SECRET}
    payload = events[0]["payload"]
    assert (payload["severity"], payload["source"]) == ("critical", "team/claude")
    assert payload["timestamp"] == "2026-11-21T12:00:00Z"


@pytest.mark.parametrize(
    ("answer", "retry_after", "wanted"),
    [
        (500, None, Later("the receiver answered 500")),
        (503, None, Later("the receiver answered 503")),
        (429, "7", Later("the receiver answered 429", 7.0)),
        (429, "999999", Later("the receiver answered 429", 3600.0)),
        ("hang", None, Later("127.0.0.1 did not answer within 1 s")),
        ("reset", None, Later("the connection to 127.0.0.1 broke: ServerDisconnectedError")),
    ],
)
async def test_what_may_work_later(
    channels: Channels, receiver: Receiver, answer: int | str, retry_after: str | None, wanted: Later
) -> None:
    receiver.answers, receiver.retry_after = [answer], retry_after
    assert await channels.deliver(message(), webhook(receiver), {}) == wanted


@pytest.mark.parametrize("answer", [301, 307, 400, 401, 404, 410])
async def test_what_nobody_can_mend_but_a_person(channels: Channels, receiver: Receiver, answer: int) -> None:
    receiver.answers = [answer]
    outcome = await channels.deliver(message(), webhook(receiver), {})
    assert isinstance(outcome, Never)
    assert str(answer) in outcome.message
    assert "planted" not in outcome.message, "a receiver's words are not shown"
    assert len(receiver.got) == 1


async def test_a_secret_address_is_not_told_when_it_fails(channels: Channels) -> None:
    port = free_ports(1)[0]
    slack = channel(slack={"webhookSecretRef": REF})
    secrets = {"team/channel/key": Hidden(f"http://127.0.0.1:{port}/services/planted")}
    outcome = await channels.deliver(message(), slack, secrets)
    assert isinstance(outcome, Later)
    assert outcome.message.startswith("127.0.0.1 cannot be reached")
    assert "planted" not in outcome.message


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "no address", "ftp://127.0.0.1/"])
async def test_a_secret_address_that_must_not_be_asked(channels: Channels, url: str) -> None:
    slack = channel(slack={"webhookSecretRef": REF})
    assert isinstance(await channels.deliver(message(), slack, {"team/channel/key": Hidden(url)}), Never)


async def test_a_missing_secret_is_named(channels: Channels, receiver: Receiver) -> None:
    outcome = await channels.deliver(message(), webhook(receiver, signed=True), {})
    assert isinstance(outcome, Never)
    assert "'channel'" in outcome.message
    assert "'key'" in outcome.message
    assert receiver.got == []


# ---------------------------------------------------------------------- mail


@pytest.fixture
def postbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Postbox, int]]:
    """An SMTP server whose authority is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(AUTHORITY))
    with serving() as found:
        yield found


def mail_to(port: int, *to: str, **more: Any) -> Notification:
    plain = {
        "to": list(to) or ["oncall@example.com"],
        "from": "alerts@example.com",
        "smtpHost": f"127.0.0.1:{port}",
        "username": "alerts",
        "passwordSecretRef": REF,
    }
    return channel(email={**plain, **more})


async def test_a_mail_goes_out_over_starttls_and_login(
    channels: Channels, postbox: tuple[Postbox, int]
) -> None:
    box, port = postbox
    sent = message(over=(OVER,))
    outcome = await channels.deliver(sent, mail_to(port, "a@example.com", "b@example.com"), SECRETS)
    assert outcome == Delivered()
    assert box.encrypted == [True]
    to, raw = box.mails[0]
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert to == ["a@example.com", "b@example.com"]
    assert parsed["Subject"] == "[FIRING] team/failing (critical): claude"
    assert parsed["Message-ID"] == f"<{sent.id}@cliproxy-operator.invalid>"
    text = parsed.get_content()
    assert "claude: error_rate is 42 % (alert if > 5 %); firing since 2026-11-21T12:00:00Z" in text
    assert "gpt: over after 10m (since 2026-11-21T12:00:00Z)" in text
    assert SECRET not in raw.decode()


async def test_a_wrong_password_is_for_a_person(channels: Channels, postbox: tuple[Postbox, int]) -> None:
    box, port = postbox
    outcome = await channels.deliver(message(), mail_to(port), {"team/channel/key": Hidden("wrong-planted")})
    assert isinstance(outcome, Never)
    assert "535" in outcome.message
    assert "planted" not in outcome.message
    assert box.mails == []


async def test_a_login_that_cannot_be_checked_now_is_tried_again(
    channels: Channels, postbox: tuple[Postbox, int]
) -> None:
    box, port = postbox
    box.login = "454 4.7.0 Temporary authentication failure"
    outcome = await channels.deliver(message(), mail_to(port), SECRETS)
    assert outcome == Later("127.0.0.1 cannot check the login now (454)")
    box.login = None
    assert await channels.deliver(message(), mail_to(port), SECRETS) == Delivered()


async def test_a_server_that_is_busy_is_asked_again(channels: Channels, postbox: tuple[Postbox, int]) -> None:
    box, port = postbox
    box.code = "451 come back later"
    assert await channels.deliver(message(), mail_to(port), SECRETS) == Later("127.0.0.1 answered 451")


async def test_recipients_that_are_refused(channels: Channels, postbox: tuple[Postbox, int]) -> None:
    box, port = postbox
    outcome = await channels.deliver(message(), mail_to(port, "nobody@example.com"), SECRETS)
    assert outcome == Never("127.0.0.1 refuses every recipient (550)")
    some = await channels.deliver(message(), mail_to(port, "a@example.com", "nobody@example.com"), SECRETS)
    assert some == Delivered("127.0.0.1 took the mail, but not for nobody@example.com")
    assert [to for to, _ in box.mails] == [["a@example.com"]]


async def test_a_server_that_is_not_trusted_gets_no_password(
    channels: Channels, postbox: tuple[Postbox, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, port = postbox
    monkeypatch.delenv("SSL_CERT_FILE")
    outcome = await channels.deliver(message(), mail_to(port), SECRETS)
    assert isinstance(outcome, Later)
    assert "TLS" in outcome.message
    assert box.mails == []


async def test_a_server_without_starttls_gets_no_password(channels: Channels) -> None:
    box, port = Postbox(), free_ports(1)[0]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        outcome = await channels.deliver(message(), mail_to(port), SECRETS)
        assert outcome == Never("127.0.0.1 offers no STARTTLS, and the rule insists on it")
        assert box.mails == []
        plain = channel(
            email={
                "to": ["a@example.com"],
                "from": "b@example.com",
                "smtpHost": f"127.0.0.1:{port}",
                "startTls": False,
            }
        )
        assert await channels.deliver(message(), plain, {}) == Delivered()
    finally:
        server.stop()


async def test_nobody_at_the_smtp_port(channels: Channels) -> None:
    outcome = await channels.deliver(message(), mail_to(free_ports(1)[0]), SECRETS)
    assert isinstance(outcome, Later)
    assert "cannot be reached" in outcome.message
