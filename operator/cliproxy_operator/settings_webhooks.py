"""Environment to the settings of webhooks and injected sidecars; None when webhooks are off.

Read besides `settings.py`, whose variables and readers it shares.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from cliproxy_api.version import __version__
from cliproxy_operator.inject.quantity import parse_quantity
from cliproxy_operator.inject.template import Template
from cliproxy_operator.settings import (
    SettingsError,
    Variable,
    read_flag,
    read_name,
    read_port,
    read_positive_s,
)

W = TypeVar("W", bound=StrEnum)
TOKEN_SECRET: Final = "cliproxy-control"  # noqa: S105 -- a Secret's name, not its value
_DNS_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class Native(StrEnum):
    """Whether sidecars are native ones."""

    AUTO = "auto"
    """If the API server is 1.29 or later."""
    ALWAYS = "always"
    NEVER = "never"
    """As long as any node is older than the API server knows."""


class Certificate(StrEnum):
    """Who makes the serving certificate."""

    OWN = "own"
    """We do: an authority and a certificate in Secrets of our namespace, and the `caBundle`s."""
    PROVIDED = "provided"
    """Somebody else, such as cert-manager; we only read the Secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """What webhooks were started with. Durations are seconds."""

    host: str
    port: int
    name: str
    """DNS name that the API server calls us by."""
    configuration: str
    """Name of the two webhook configurations."""
    certificate: Certificate
    secret: str
    """Of our namespace, with `tls.crt`, `tls.key`, `ca.crt`."""
    authority_secret: str
    native: Native
    survey_interval_s: float
    image: str
    pull_policy: str
    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    run_as_user: int | None

    def template(self, *, native: bool, control_port: int, control_token: bool) -> Template:
        """Return how sidecars are made; with a `control_token` the control channel is for development."""
        return Template(
            image=self.image,
            pull_policy=self.pull_policy,
            native=native,
            cpu_request=self.cpu_request,
            cpu_limit=self.cpu_limit,
            memory_request=self.memory_request,
            memory_limit=self.memory_limit,
            run_as_user=self.run_as_user,
            control_port=control_port,
            token_secret=TOKEN_SECRET if control_token else "",
        )


def _native(text: str) -> Native:
    return _word(Native, text)


def _certificate(text: str) -> Certificate:
    return _word(Certificate, text)


def _word(type_: type[W], text: str) -> W:
    try:
        return type_(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is none of {', '.join(type_)}") from None


def _dns_name(text: str) -> str:
    if _DNS_NAME.fullmatch(text) is None:
        raise ValueError(f"{text[:60]!r} is no DNS name")
    return text


def _policy(text: str) -> str:
    if text not in {"Always", "IfNotPresent", "Never"}:
        raise ValueError(f"{text[:40]!r} is none of Always, IfNotPresent, Never")
    return text


def _amount(text: str) -> str:
    parse_quantity(text)
    return text


def _limit(text: str) -> str:
    return "" if text in {"", "none"} else _amount(text)


def _user(text: str) -> int | None:
    if text == "cluster":
        return None
    if not text.isdecimal() or not 0 < int(text) < 2**31:
        raise ValueError(f"{text[:40]!r} is neither a user id above 0 nor cluster")
    return int(text)


VARIABLES: Final = (
    Variable("CLIPROXY_WEBHOOK_HOST", "host", read_name, "0.0.0.0", "address of the webhooks"),  # noqa: S104 -- the API server calls from outside
    Variable("CLIPROXY_WEBHOOK_PORT", "port", read_port, "9443", "its port (HTTPS)"),
    Variable(
        "CLIPROXY_WEBHOOK_NAME",
        "name",
        _dns_name,
        "cliproxy-operator.cliproxy-system.svc",
        "DNS name that the API server calls the webhooks by",
    ),
    Variable(
        "CLIPROXY_WEBHOOK_CONFIGURATION",
        "configuration",
        read_name,
        "cliproxy-operator",
        "name of the two webhook configurations",
    ),
    Variable(
        "CLIPROXY_WEBHOOK_CERTIFICATE",
        "certificate",
        _certificate,
        "own",
        "own: made and rotated here; provided: by somebody else, in the Secret",
    ),
    Variable(
        "CLIPROXY_WEBHOOK_SECRET", "secret", read_name, "cliproxy-webhook-tls", "Secret of the certificate"
    ),
    Variable(
        "CLIPROXY_WEBHOOK_CA_SECRET",
        "authority_secret",
        read_name,
        "cliproxy-webhook-ca",
        "Secret of our authority for it",
    ),
    Variable(
        "CLIPROXY_SIDECAR_NATIVE",
        "native",
        _native,
        "auto",
        "native sidecars: auto (API server 1.29 and later), always or never",
    ),
    Variable(
        "CLIPROXY_SIDECAR_IMAGE",
        "image",
        read_name,
        f"cliproxy-sidecar:{__version__}",
        "image of injected sidecars",
    ),
    Variable("CLIPROXY_SIDECAR_PULL_POLICY", "pull_policy", _policy, "IfNotPresent", "when it is pulled"),
    Variable("CLIPROXY_SIDECAR_CPU_REQUEST", "cpu_request", _amount, "50m", "of injected sidecars"),
    Variable("CLIPROXY_SIDECAR_CPU_LIMIT", "cpu_limit", _limit, "none", "of injected sidecars"),
    Variable("CLIPROXY_SIDECAR_MEMORY_REQUEST", "memory_request", _amount, "64Mi", "of injected sidecars"),
    Variable("CLIPROXY_SIDECAR_MEMORY_LIMIT", "memory_limit", _limit, "128Mi", "of injected sidecars"),
    Variable(
        "CLIPROXY_SIDECAR_USER",
        "run_as_user",
        _user,
        "65532",
        "user id of injected sidecars; cluster: the cluster gives one (OpenShift)",
    ),
    Variable(
        "CLIPROXY_INJECTION_SURVEY",
        "survey_interval_s",
        read_positive_s,
        "30s",
        "pause between looks for pods that lack their sidecar",
    ),
)
SWITCH: Final = Variable("CLIPROXY_WEBHOOKS", "", read_flag, "0", "1: serve admission webhooks")


def read_webhook_settings(environment: Mapping[str, str]) -> WebhookSettings | None:
    """Return the settings, None when webhooks are off.

    Raises:
        SettingsError: a variable cannot be read; all of them are named.

    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    for variable in (SWITCH, *VARIABLES):
        text = environment.get(variable.name, "").strip() or variable.default
        try:
            values[variable.field] = variable.read(text)
        except ValueError as error:
            faults.append(f"{variable.name}: {error}")
    if faults:
        raise SettingsError("\n".join(faults))
    return WebhookSettings(**values) if values.pop("") else None


def webhook_usage() -> str:
    """Return the rest of the text of `--help`."""
    lines = []
    for variable in (SWITCH, *VARIABLES):
        lines.append(f"  {variable.name}")
        lines.append(f"      {variable.help} (default: {variable.default})")
    return "\n".join(lines)
