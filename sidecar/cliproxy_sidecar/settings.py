"""Environment -> one frozen `Settings`, or a sentence that says what to mend.

The variables stand in one table, which `--help` prints; nothing else in the sidecar reads the environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from cliproxy_api.durations import parse_duration_s
from cliproxy_api.vocabulary import CONTROL_PORT, OBSERVE_PORT, PROXY_PORT, LogLevel

UpstreamKind = Literal["engine", "aiohttp"]

MIN_TOKEN_CHARACTERS: Final = 16
"""Short enough to type in a demo, too long to guess over a network."""


DEFAULT_LOG_DIR: Final = "/var/log/cliproxy"


class SettingsError(ValueError):
    """The environment does not say what the sidecar needs; whoever starts it can mend that."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as `--help` shows it."""

    name: str
    default: str
    meaning: str


VARIABLES: Final = (
    Variable("POD_NAME", "sidecar", "name of this sidecar in reports and evidence"),
    Variable("POD_NAMESPACE", "default", "namespace of the pod"),
    Variable("POD_IP", "", "address of the pod; the default host of the control and observe ports"),
    Variable("CLIPROXY_PROXY_HOST", "127.0.0.1", "where callers connect; 0.0.0.0 makes it a gateway"),
    Variable("CLIPROXY_PROXY_PORT", str(PROXY_PORT), "port of the proxy and of /v0/operations"),
    Variable("CLIPROXY_CONTROL_HOST", "POD_IP or 0.0.0.0", "where the operator connects"),
    Variable("CLIPROXY_CONTROL_PORT", str(CONTROL_PORT), "port of pushes and reports"),
    Variable("CLIPROXY_OBSERVE_HOST", "POD_IP or 0.0.0.0", "where kubelet and Prometheus connect"),
    Variable("CLIPROXY_OBSERVE_PORT", str(OBSERVE_PORT), "port of /health* and /metrics"),
    Variable("CLIPROXY_TLS_DIR", "", "folder with tls.crt, tls.key and ca.crt: mutual TLS with the operator"),
    Variable(
        "CLIPROXY_CONTROL_TOKEN",
        "",
        f"development only, instead of TLS: bearer token of pushes, {MIN_TOKEN_CHARACTERS}+ characters",
    ),
    Variable("CLIPROXY_CONTROL_TOKEN_FILE", "", "file that holds the token instead"),
    Variable("CLIPROXY_STANDALONE", "0", "1: run without operator; no TLS, no token, no control port"),
    Variable(
        "CLIPROXY_SNAPSHOT_FILE",
        "",
        "a snapshot push to boot with (JSON, may be gzipped); a later one replaces it",
    ),
    Variable("CLIPROXY_STATE_DIR", "", "folder that keeps the last good configuration over a restart"),
    Variable(
        "CLIPROXY_LOG_DIR", DEFAULT_LOG_DIR, "folder of the log's copy in a file, where the profile wants one"
    ),
    Variable("CLIPROXY_UPSTREAM", "engine", "HTTP client: engine, or aiohttp, which honours HTTP(S)_PROXY"),
    Variable("CLIPROXY_LOG_LEVEL", "", "debug, info, warning or error; overrides the profile's"),
    Variable("CLIPROXY_DRAIN_TIMEOUT", "10s", "how long requests in flight may take after SIGTERM"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment decides; everything else comes with the snapshot."""

    pod_name: str
    namespace: str
    proxy_host: str
    proxy_port: int
    control_host: str
    control_port: int
    observe_host: str
    observe_port: int
    control_token: str
    """Empty: mutual TLS, or standalone without operator."""
    snapshot_file: Path | None
    log_level: LogLevel | None
    drain_timeout_s: float
    tls_dir: Path | None = None
    """Certificate, key and authorities of the control port; the files may come later."""
    state_dir: Path | None = None
    log_dir: Path = Path(DEFAULT_LOG_DIR)
    upstream: UpstreamKind = "engine"
    """Which HTTP client talks to providers (ADR 7)."""

    def __repr__(self) -> str:
        """Name the settings without the token."""
        return f"Settings({self.pod_name}, proxy={self.proxy_host}:{self.proxy_port})"


def read_settings(env: Mapping[str, str]) -> Settings:
    """Return the settings that `env` describes.

    Raises:
        SettingsError: a variable is missing or unreadable; the message names it. The starter's fault.

    """
    values = {variable.name: env.get(variable.name, "").strip() for variable in VARIABLES}
    pod_ip = values["POD_IP"] or "0.0.0.0"  # noqa: S104 -- a pod is reached from outside; control wants a token
    return Settings(
        pod_name=values["POD_NAME"] or "sidecar",
        namespace=values["POD_NAMESPACE"] or "default",
        proxy_host=values["CLIPROXY_PROXY_HOST"] or "127.0.0.1",
        proxy_port=_port(values, "CLIPROXY_PROXY_PORT", PROXY_PORT),
        control_host=values["CLIPROXY_CONTROL_HOST"] or pod_ip,
        control_port=_port(values, "CLIPROXY_CONTROL_PORT", CONTROL_PORT),
        observe_host=values["CLIPROXY_OBSERVE_HOST"] or pod_ip,
        observe_port=_port(values, "CLIPROXY_OBSERVE_PORT", OBSERVE_PORT),
        control_token=_token(values),
        snapshot_file=Path(path) if (path := values["CLIPROXY_SNAPSHOT_FILE"]) else None,
        log_level=_level(values["CLIPROXY_LOG_LEVEL"]),
        drain_timeout_s=_duration_s(values["CLIPROXY_DRAIN_TIMEOUT"] or "10s"),
        tls_dir=Path(path) if (path := values["CLIPROXY_TLS_DIR"]) else None,
        state_dir=Path(path) if (path := values["CLIPROXY_STATE_DIR"]) else None,
        log_dir=Path(values["CLIPROXY_LOG_DIR"] or DEFAULT_LOG_DIR),
        upstream=_upstream(values["CLIPROXY_UPSTREAM"] or "engine"),
    )


def help_text() -> str:
    """Return what `--help` prints: every variable with its meaning and default."""
    width = max(len(variable.name) for variable in VARIABLES)
    rows = (
        f"  {variable.name:<{width}}  {variable.meaning}"
        + (f" (default: {variable.default})" if variable.default else "")
        for variable in VARIABLES
    )
    return "cliproxy-sidecar takes no arguments; the environment sets it up:\n\n" + "\n".join(rows) + "\n"


def _port(values: Mapping[str, str], name: str, default: int) -> int:
    text = values[name]
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) > 65535:  # noqa: PLR2004 -- the largest TCP port
        raise SettingsError(f"{name}={text!r}: want a port number from 0 (any free one) to 65535")
    return int(text)


def _token(values: Mapping[str, str]) -> str:
    token, path = values["CLIPROXY_CONTROL_TOKEN"], values["CLIPROXY_CONTROL_TOKEN_FILE"]
    if path:
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"CLIPROXY_CONTROL_TOKEN_FILE={path!r}: {error}") from None
    if token and values["CLIPROXY_TLS_DIR"]:
        raise SettingsError(
            "CLIPROXY_TLS_DIR and CLIPROXY_CONTROL_TOKEN (for development) exclude each other"
        )
    if not token and (values["CLIPROXY_STANDALONE"] == "1" or values["CLIPROXY_TLS_DIR"]):
        return ""
    if not token:
        raise SettingsError(
            "nothing says how to know the operator: set CLIPROXY_TLS_DIR, or for development"
            " CLIPROXY_CONTROL_TOKEN or CLIPROXY_CONTROL_TOKEN_FILE, or CLIPROXY_STANDALONE=1 to run"
            " without operator"
        )
    if len(token) < MIN_TOKEN_CHARACTERS:
        raise SettingsError(f"the control token is shorter than {MIN_TOKEN_CHARACTERS} characters")
    return token


def _level(text: str) -> LogLevel | None:
    try:
        return LogLevel(text.lower()) if text else None
    except ValueError:
        raise SettingsError(f"CLIPROXY_LOG_LEVEL={text!r}: want one of {', '.join(LogLevel)}") from None


def _upstream(text: str) -> UpstreamKind:
    match text.lower():
        case "engine" | "aiohttp" as kind:
            return kind
        case _:
            raise SettingsError(f"CLIPROXY_UPSTREAM={text!r}: want engine or aiohttp")


def _duration_s(text: str) -> float:
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise SettingsError(f"CLIPROXY_DRAIN_TIMEOUT: {error}") from None
