"""A message in each receiver's wire format.

Sources (read 2025-11): Slack "Sending messages using incoming webhooks" and "Formatting text"; PagerDuty
"Events API v2, Send an Alert Event"; Alertmanager 0.25 `api/v2/openapi.yaml`. Sending is `notify`'s.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta
from email.message import EmailMessage
from typing import Any, Final

import msgspec

from cliproxy_api.conditions import clip
from cliproxy_api.resources.alertrule import Email
from cliproxy_api.vocabulary import Severity
from cliproxy_operator.alerts import words
from cliproxy_operator.alerts.message import Line, Message
from cliproxy_operator.instants import write_instant

ALERTMANAGER_PATH: Final = "/api/v2/alerts"
KEPT_FOR: Final = timedelta(minutes=4)
"""An Alertmanager takes an alert for over by itself after this; four times the time of telling it again."""
MAX_SUMMARY_CHARS: Final = 1024
MAX_SLACK_CHARS: Final = 3000
SIGNATURE_HEADER: Final = "X-Cliproxy-Signature"
TIMESTAMP_HEADER: Final = "X-Cliproxy-Timestamp"
ID_HEADER: Final = "X-Cliproxy-Id"
_COLOURS: Final = {Severity.INFO: "#439fe0", Severity.WARNING: "#daa038", Severity.CRITICAL: "#a30200"}
_OVER_COLOUR: Final = "#2eb886"


def slack(message: Message, channel: str | None) -> bytes:
    """Return an incoming webhook's body."""
    colour = _COLOURS[message.severity] if message.fires else _OVER_COLOUR
    text = _escaped(words.body(message))
    attachment = {
        "color": colour,
        "text": text if len(text) <= MAX_SLACK_CHARS else text[: MAX_SLACK_CHARS - 1] + "…",
        "fallback": _escaped(words.title(message)),
    }
    found: dict[str, Any] = {"text": _escaped(words.title(message)), "attachments": [attachment]}
    if channel is not None:
        found["channel"] = channel
    return msgspec.json.encode(found)


def pagerduty(message: Message, routing_key: str) -> bytes:
    """Return an event: trigger while any provider of the rule fires, else resolve; one incident per rule."""
    event: dict[str, Any] = {"routing_key": routing_key, "dedup_key": message.dedup_key}
    if not message.fires:
        return msgspec.json.encode({**event, "event_action": "resolve"})
    lines = (*message.firing, *message.still)
    payload = {
        "summary": clip(words.title(message), MAX_SUMMARY_CHARS),
        "source": f"{message.namespace}/{lines[0].provider}",
        "severity": message.severity.value,
        "timestamp": write_instant(min(line.since for line in lines)),
        "component": lines[0].provider,
        "group": message.namespace,
        "class": message.rule,
        "custom_details": {
            "condition": message.condition,
            "alerts": [_details(message, line) for line in lines[: words.MAX_LINES]],
            "look_further": words.commands(message),
        },
    }
    return msgspec.json.encode(
        {**event, "event_action": "trigger", "client": "cliproxy-operator", "payload": payload}
    )


def webhook(message: Message) -> bytes:
    """Return the generic webhook's body."""
    return msgspec.json.encode(
        {
            "version": "1",
            "id": message.id,
            "status": "firing" if message.fires else "resolved",
            "namespace": message.namespace,
            "rule": message.rule,
            "severity": message.severity.value,
            "condition": message.condition,
            "dedupKey": message.dedup_key,
            "title": words.title(message),
            "sentAt": write_instant(message.now_utc),
            "alerts": [_details(message, line) for line in (*message.firing, *message.over)],
            "stillFiring": [line.provider for line in message.still],
            "lookFurther": words.commands(message),
        }
    )


def signature(body: bytes, *, timestamp: int, key: str) -> str:
    """Return the signature header: HMAC-SHA256 over "timestamp.body"; the timestamp stops replays."""
    signed = str(timestamp).encode() + b"." + body
    return "sha256=" + hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def alertmanager(message: Message, labels: Mapping[str, str]) -> bytes:
    """Return all alerts that fire, with an end ahead, and those that are over, with their end."""
    return msgspec.json.encode(
        [_alertmanager(message, line, labels) for line in (*message.firing, *message.still, *message.over)]
    )


def mail(message: Message, email: Email) -> EmailMessage:
    """Return a mail; sent twice it carries the same Message-ID, by which mail systems drop the second."""
    found = EmailMessage()
    found["Subject"] = clip(words.title(message), 200)
    found["From"] = email.from_
    found["To"] = ", ".join(email.to)
    found["Message-ID"] = f"<{message.id}@cliproxy-operator.invalid>"
    found["Auto-Submitted"] = "auto-generated"
    found["Date"] = message.now_utc
    found.set_content(words.body(message) + "\n")
    return found


def _alertmanager(message: Message, line: Line, labels: Mapping[str, str]) -> dict[str, Any]:
    figures = ", ".join(words.reading(one) for one in line.readings)
    until = line.until if line.until is not None else message.now_utc + KEPT_FOR
    return {
        "labels": {
            **labels,
            "alertname": message.rule,
            "namespace": message.namespace,
            "provider": line.provider,
            "severity": message.severity.value,
        },
        "annotations": {
            "summary": f"{line.provider}: {message.rule}",
            "description": figures,
            "condition": message.condition,
            "look_further": words.commands(message)[0],
        },
        "startsAt": write_instant(line.since),
        "endsAt": write_instant(max(until, line.since)),
    }


def _details(message: Message, line: Line) -> dict[str, Any]:
    lasted = words.lasted(line)
    found: dict[str, Any] = {
        "provider": line.provider,
        "status": "firing" if line.firing else "resolved",
        "since": write_instant(line.since),
        "figures": [
            {
                "metric": one.metric,
                "value": one.value,
                "operator": one.operator,
                "threshold": one.threshold,
                "text": words.reading(one),
            }
            for one in line.readings
        ],
        "dedupKey": f"{message.dedup_key}/{line.provider}",
    }
    if line.until is not None and lasted is not None:
        found |= {"until": write_instant(line.until), "lastedSeconds": int(lasted.total_seconds())}
    return found


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
