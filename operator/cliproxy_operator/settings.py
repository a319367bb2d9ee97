"""Environment to one frozen `Settings`; the list of variables is also the text of `--help`.

Reads no file but the control token's, and only when the settings are made; certificates are `identity.py`'s.
"""

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cliproxy_api.durations import parse_duration_s
from cliproxy_api.vocabulary import CONTROL_PORT, LogLevel
from cliproxy_operator.hidden import Hidden

MIN_TOKEN_CHARS: Final = 16
MAX_PORT: Final = 65_535
MIN_LIFETIME_S: Final = 30.0
"""Of a certificate; so short only where its renewal is to be watched."""


class SettingsError(ValueError):
    """The environment is not usable; the message has one line for each variable at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator was started with. Durations are seconds."""

    namespaces: tuple[str, ...]
    """Served namespaces; empty: all of them."""
    pod_name: str
    pod_namespace: str
    host: str
    port: int
    control_token: Hidden | None
    """Only for development: the control channel is plain HTTP with this token."""
    tls_dir: Path | None
    """Our client certificate as mounted files; None, and no token: we are the authority ourselves."""
    certificate_lifetime_s: float
    ca_lifetime_s: float
    snapshot_secrets: bool
    """Whether each profile's snapshot, keys included, is kept in a Secret of its namespace too."""
    control_port: int
    lease_name: str
    lease_duration_s: float
    lease_renew_s: float
    lease_retry_s: float
    resync_interval_s: float
    watch_idle_s: float
    allow_link_local: bool
    allow_api_server: bool
    log_level: LogLevel


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: which field it fills, how it is read, what `--help` says."""

    name: str
    field: str
    read: Callable[[str], Any]
    default: str
    help: str


def _names(text: str) -> tuple[str, ...]:
    return tuple(sorted({part.strip() for part in text.split(",") if part.strip()}))


def read_port(text: str) -> int:
    """Return a port number.

    Raises:
        ValueError: it is none.

    """
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PORT:
        raise ValueError(f"{text[:40]!r} is not a port (1 to {MAX_PORT})")
    return int(text)


def read_positive_s(text: str) -> float:
    """Return a duration above 0 in seconds.

    Raises:
        ValueError: it is none.

    """
    seconds = parse_duration_s(text)
    if seconds <= 0:
        raise ValueError("must be longer than 0s")
    return seconds


def _days(text: str) -> float:
    seconds = parse_duration_s(text)
    if seconds < MIN_LIFETIME_S:
        raise ValueError(f"must be at least {MIN_LIFETIME_S:g}s")
    return seconds


def _folder(text: str) -> Path | None:
    return Path(text) if text else None


def read_flag(text: str) -> bool:
    """Return what 0 or 1 says.

    Raises:
        ValueError: it is none.

    """
    if text not in {"0", "1"}:
        raise ValueError(f"{text[:40]!r} is neither 0 nor 1")
    return text == "1"


def _level(text: str) -> LogLevel:
    try:
        return LogLevel(text.lower())
    except ValueError:
        raise ValueError(f"{text[:40]!r} is none of {', '.join(LogLevel)}") from None


def read_name(text: str) -> str:
    """Return a text that is not empty.

    Raises:
        ValueError: it is none.

    """
    if not text:
        raise ValueError("must not be empty")
    return text


VARIABLES: Final = (
    Variable(
        "CLIPROXY_NAMESPACES", "namespaces", _names, "", "served namespaces, comma separated; empty: all"
    ),
    Variable("POD_NAME", "pod_name", read_name, "", "who holds the lease; default: the host name"),
    Variable("POD_NAMESPACE", "pod_namespace", read_name, "cliproxy-system", "where the lease stands"),
    Variable("CLIPROXY_HOST", "host", read_name, "0.0.0.0", "address of metrics, health and operations API"),  # noqa: S104 -- a pod's server is for the pod network
    Variable("CLIPROXY_PORT", "port", read_port, "8080", "its port"),
    Variable(
        "CLIPROXY_CONTROL_PORT", "control_port", read_port, str(CONTROL_PORT), "the sidecars' control port"
    ),
    Variable(
        "CLIPROXY_TLS_DIR",
        "tls_dir",
        _folder,
        "",
        "mounted tls.crt, tls.key and ca.crt of another authority; empty: we are the authority",
    ),
    Variable(
        "CLIPROXY_SNAPSHOT_SECRETS",
        "snapshot_secrets",
        read_flag,
        "1",
        "0: keep no snapshots in Secrets; pods that start while the operator is away have no configuration",
    ),
    Variable(
        "CLIPROXY_CERTIFICATE_LIFETIME",
        "certificate_lifetime_s",
        _days,
        "168h",
        "of the certificates we issue; renewed after two thirds",
    ),
    Variable("CLIPROXY_CA_LIFETIME", "ca_lifetime_s", _days, "8760h", "of our authority; replaced likewise"),
    Variable(
        "CLIPROXY_LEASE_NAME", "lease_name", read_name, "cliproxy-operator", "name of the leader's Lease"
    ),
    Variable(
        "CLIPROXY_LEASE_DURATION",
        "lease_duration_s",
        read_positive_s,
        "5s",
        "a silent leader is replaced then",
    ),
    Variable(
        "CLIPROXY_LEASE_RENEW",
        "lease_renew_s",
        read_positive_s,
        "3500ms",
        "a leader unable to renew stops then",
    ),
    Variable(
        "CLIPROXY_LEASE_RETRY", "lease_retry_s", read_positive_s, "500ms", "pause between looks at the lease"
    ),
    Variable(
        "CLIPROXY_RESYNC_INTERVAL",
        "resync_interval_s",
        read_positive_s,
        "5m",
        "pause between full lists",
    ),
    Variable(
        "CLIPROXY_WATCH_IDLE",
        "watch_idle_s",
        read_positive_s,
        "70s",
        "a silent watch is opened again",
    ),
    Variable("CLIPROXY_ALLOW_LINK_LOCAL", "allow_link_local", read_flag, "0", "1: baseURL may be link-local"),
    Variable(
        "CLIPROXY_ALLOW_API_SERVER", "allow_api_server", read_flag, "0", "1: baseURL may be the API server"
    ),
    Variable("CLIPROXY_LOG_LEVEL", "log_level", _level, "info", "debug, info, warning or error"),
)

TOKEN_HELP: Final = (
    "CLIPROXY_CONTROL_TOKEN or CLIPROXY_CONTROL_TOKEN_FILE",
    f"for development only: plain HTTP with this token, {MIN_TOKEN_CHARS}+ characters, instead of mutual TLS",
)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings.

    Raises:
        SettingsError: a variable cannot be read or a required one is missing; all of them are named.

    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        text = environment.get(variable.name, "").strip() or variable.default or _fallback(variable.name)
        try:
            values[variable.field] = variable.read(text)
        except ValueError as error:
            faults.append(f"{variable.name}: {error}")
    try:
        values["control_token"] = _control_token(environment)
    except ValueError as error:
        faults.append(str(error))
    if values.get("control_token") is not None and values.get("tls_dir") is not None:
        faults.append("CLIPROXY_TLS_DIR and CLIPROXY_CONTROL_TOKEN (for development) exclude each other")
    if not faults and values["ca_lifetime_s"] < 4 * values["certificate_lifetime_s"]:
        faults.append("CLIPROXY_CA_LIFETIME must be at least four times CLIPROXY_CERTIFICATE_LIFETIME")
    if not faults and not values["lease_retry_s"] < values["lease_renew_s"] < values["lease_duration_s"]:
        faults.append("CLIPROXY_LEASE_RETRY < CLIPROXY_LEASE_RENEW < CLIPROXY_LEASE_DURATION must hold")
    if faults:
        raise SettingsError("\n".join(faults))
    return Settings(**values)


def usage() -> str:
    """Return the text of `--help`."""
    rows = [(variable.name, variable.help, variable.default) for variable in VARIABLES]
    rows.append((*TOKEN_HELP, ""))
    rows.append(("KUBECONFIG", "how to reach the API server; without it the pod's service account", ""))
    lines = ["Usage: python -m cliproxy_operator [--help]", "", "Environment:"]
    for name, text, default in rows:
        lines.append(f"  {name}")
        lines.append(f"      {text}" + (f" (default: {default})" if default else ""))
    return "\n".join(lines)


def _fallback(name: str) -> str:
    return (socket.gethostname() or "operator") if name == "POD_NAME" else ""


def _control_token(environment: Mapping[str, str]) -> Hidden | None:
    text = environment.get("CLIPROXY_CONTROL_TOKEN", "")
    path = environment.get("CLIPROXY_CONTROL_TOKEN_FILE", "")
    if not text and path:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not text"
            raise ValueError(f"CLIPROXY_CONTROL_TOKEN_FILE: {path}: {reason}") from None
    text = text.strip()
    if not text and not path:
        return None
    if len(text) < MIN_TOKEN_CHARS or not text.isascii() or not text.isprintable():
        raise ValueError(
            f"CLIPROXY_CONTROL_TOKEN: at least {MIN_TOKEN_CHARS} printable ASCII characters are needed"
            " (or CLIPROXY_CONTROL_TOKEN_FILE)"
        )
    return Hidden(text)
