"""A message to one channel of a rule, whatever its receiver: secrets put in, address checked, one try made.

Wire formats are `alerts.bodies`'; sending is `http`'s and `smtp`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cliproxy_api.resources.alertrule import Alertmanager, Email, Notification, PagerDuty, Slack, Webhook
from cliproxy_operator.addresses import refusal
from cliproxy_operator.alerts import bodies
from cliproxy_operator.alerts.message import Message
from cliproxy_operator.compile_alerts import secret_of
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.inputs import AddressRules
from cliproxy_operator.notify.http import HttpSender
from cliproxy_operator.notify.outcome import Never, Outcome
from cliproxy_operator.notify.smtp import send_mail

KINDS: Final = ("slack", "email", "pagerduty", "webhook", "alertmanager")

Secrets = Mapping[str, Hidden]
"""By reference "namespace/name/key"."""


def kind_of(channel: Notification) -> str:
    """Return what receives there, for metrics: one of `KINDS`."""
    return next(kind for kind in KINDS if getattr(channel, kind) is not None)


@dataclass(frozen=True, slots=True)
class Channels:
    """Delivers to any receiver."""

    http: HttpSender
    addresses: AddressRules

    async def deliver(self, message: Message, channel: Notification, secrets: Secrets) -> Outcome:
        """Make one try."""
        secret: Hidden | None = None
        wanted = secret_of(channel)
        if wanted is not None:
            _, ref = wanted
            secret = secrets.get(f"{message.namespace}/{ref.name}/{ref.key}")
            if secret is None:
                return Never(
                    f"Secret {ref.name!r} has no value under key {ref.key!r} in namespace "
                    f"{message.namespace!r}; create it"
                )
        return await self._send(message, channel, secret)

    async def _send(self, message: Message, channel: Notification, secret: Hidden | None) -> Outcome:
        value = secret.reveal() if secret is not None else ""
        match channel:
            case Notification(slack=Slack() as slack):
                return await self._post(value, bodies.slack(message, slack.channel))
            case Notification(pagerduty=PagerDuty() as pagerduty):
                return await self._post(pagerduty.url, bodies.pagerduty(message, value))
            case Notification(alertmanager=Alertmanager() as alertmanager):
                url = alertmanager.url.rstrip("/") + bodies.ALERTMANAGER_PATH
                return await self._post(url, bodies.alertmanager(message, alertmanager.labels))
            case Notification(webhook=Webhook() as webhook):
                body = bodies.webhook(message)
                return await self._post(webhook.url, body, _signed(message, body, value))
            case Notification(email=Email() as email):
                return await self._mail(message, email, secret)
            case _:
                return Never("the channel names no receiver")

    async def _mail(self, message: Message, email: Email, password: Hidden | None) -> Outcome:
        refused = refusal(f"smtp://{email.smtp_host}", self.addresses)
        if refused is not None:
            return Never(f"the SMTP server's address {refused}")
        return await send_mail(bodies.mail(message, email), email, password)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> Outcome:
        refused = refusal(url, self.addresses)
        if refused is not None:
            return Never(f"the address {refused}")
        return await self.http.post(url, body, headers)


def _signed(message: Message, body: bytes, key: str) -> dict[str, str]:
    timestamp = int(message.now_utc.timestamp())
    headers = {bodies.ID_HEADER: message.id, bodies.TIMESTAMP_HEADER: str(timestamp)}
    if key:
        signature = bodies.signature(body, timestamp=timestamp, key=key)
        headers[bodies.SIGNATURE_HEADER] = signature
    return headers
