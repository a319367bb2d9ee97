"""What an AlertRule depends on besides itself: the Secrets of its channels, and where channels may point.

A missing Secret is a warning: the other channels work. Judging and telling are `alerts`' and `notify`'s.
"""

from collections.abc import Iterable, Mapping

from cliproxy_api.conditions import Reason
from cliproxy_api.resources.alertrule import AlertRule, Notification
from cliproxy_api.resources.common import SecretRef
from cliproxy_operator.addresses import refusal
from cliproxy_operator.inputs import AddressRules, SecretView
from cliproxy_operator.validate import Diagnostic, error, warning


def secret_of(channel: Notification) -> tuple[str, SecretRef] | None:
    """Return the field below the channel and the Secret that it names, None if it needs none."""
    if channel.slack is not None:
        return "slack.webhookSecretRef", channel.slack.webhook_secret_ref
    if channel.email is not None and channel.email.password_secret_ref is not None:
        return "email.passwordSecretRef", channel.email.password_secret_ref
    if channel.pagerduty is not None:
        return "pagerduty.routingKeySecretRef", channel.pagerduty.routing_key_secret_ref
    if channel.webhook is not None and channel.webhook.secret_ref is not None:
        return "webhook.secretRef", channel.webhook.secret_ref
    return None


def alert_secrets(rule: AlertRule) -> frozenset[tuple[str, str]]:
    """Return (namespace, name) of the Secrets that a rule's channels need."""
    wanted = (secret_of(channel) for channel in rule.spec.notifications)
    return frozenset((rule.metadata.namespace, one[1].name) for one in wanted if one is not None)


def references(rule: AlertRule) -> frozenset[str]:
    """Return "namespace/name/key" of the values that a rule's channels need."""
    wanted = (secret_of(channel) for channel in rule.spec.notifications)
    return frozenset(
        f"{rule.metadata.namespace}/{one[1].name}/{one[1].key}" for one in wanted if one is not None
    )


def alert_diagnostics(
    rule: AlertRule, secrets: Mapping[tuple[str, str], SecretView | None], addresses: AddressRules
) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a rule: channels' addresses are errors, missing Secrets warnings."""
    found: list[Diagnostic] = []
    for number, channel in enumerate(rule.spec.notifications):
        path = f"spec.notifications[{number}]"
        for field, url in _addresses(channel):
            refused = refusal(url, addresses)
            if refused is not None:
                found.append(error(Reason.ADDRESS_REFUSED, f"{path}.{field}", refused))
        found += _missing(rule.metadata.namespace, path, channel, secrets)
    return tuple(found)


def _addresses(channel: Notification) -> Iterable[tuple[str, str]]:
    if channel.webhook is not None:
        yield "webhook.url", channel.webhook.url
    if channel.alertmanager is not None:
        yield "alertmanager.url", channel.alertmanager.url
    if channel.pagerduty is not None:
        yield "pagerduty.url", channel.pagerduty.url
    if channel.email is not None:
        yield "email.smtpHost", f"smtp://{channel.email.smtp_host}"


def _missing(
    namespace: str, path: str, channel: Notification, secrets: Mapping[tuple[str, str], SecretView | None]
) -> Iterable[Diagnostic]:
    wanted = secret_of(channel)
    if wanted is None:
        return
    field, ref = wanted
    view = secrets.get((namespace, ref.name))
    told = f"channel {channel.name} tells nobody until then"
    if view is None:
        sentence = (
            f"Secret {ref.name!r} is not in namespace {namespace!r}; create it with key {ref.key!r}: {told}"
        )
        yield warning(Reason.SECRET_NOT_FOUND, f"{path}.{field}", sentence)
    elif ref.key not in view.digests:
        sentence = f"Secret {ref.name!r} has no value under key {ref.key!r}; add it: {told}"
        yield warning(Reason.SECRET_KEY_NOT_FOUND, f"{path}.{field}", sentence)
