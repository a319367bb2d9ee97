"""What one pod says about its sidecar by annotations; a bad value is left out and told, never raised."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from cliproxy_api.vocabulary import OBSERVE_PORT, PROFILE_ANNOTATION, PROXY_PORT
from cliproxy_operator.inject.resources import resources
from cliproxy_operator.inject.template import Template

PROXY_PORT_ANNOTATION: Final = "cliproxy.io/proxy-port"
OBSERVE_PORT_ANNOTATION: Final = "cliproxy.io/observe-port"
VARIABLES_ANNOTATION: Final = "cliproxy.io/inject-env"
LOG_VOLUME_ANNOTATION: Final = "cliproxy.io/log-volume"
MIN_PORT: Final = 1024
"""The sidecar is no root."""
MAX_PORT: Final = 65_535


class Variables(StrEnum):
    """Whether applications' containers get variables."""

    AUTO = "auto"
    """Those that a container's own `env` or `envFrom` cannot have set."""
    ALWAYS = "always"
    """`envFrom` notwithstanding; a container's own `env` still wins."""
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One pod's wishes."""

    profile: str
    proxy_port: int
    observe_port: int
    variables: Variables
    resources: Mapping[str, Any]
    log_volume: str
    """The pod's volume for the log's copy in a file; empty: there is none."""
    told: tuple[str, ...]
    """What was wrong with the annotations, each to be read by a person."""


def read_options(
    annotations: Mapping[str, str], template: Template, volumes: Collection[str] = ()
) -> Options:
    """Return what the annotations say, defaults filled in; `volumes` are the pod's own."""
    made, told = resources(template, annotations)
    return Options(
        profile=annotations.get(PROFILE_ANNOTATION, ""),
        proxy_port=_port(PROXY_PORT_ANNOTATION, PROXY_PORT, annotations, told),
        observe_port=_port(OBSERVE_PORT_ANNOTATION, OBSERVE_PORT, annotations, told),
        variables=_variables(annotations, told),
        resources=made,
        log_volume=_log_volume(annotations, volumes, told),
        told=tuple(told),
    )


def _port(name: str, default: int, annotations: Mapping[str, str], told: list[str]) -> int:
    text = annotations.get(name, "").strip()
    if not text:
        return default
    if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_PORT)):
        port = int(text)
        if MIN_PORT <= port <= MAX_PORT:
            return port
    told.append(f"{name}: {text[:40]!r} is no port from {MIN_PORT} to {MAX_PORT}; {default} is used")
    return default


def _variables(annotations: Mapping[str, str], told: list[str]) -> Variables:
    text = annotations.get(VARIABLES_ANNOTATION, "").strip() or Variables.AUTO
    try:
        return Variables(text)
    except ValueError:
        told.append(f"{VARIABLES_ANNOTATION}: {text[:40]!r} is none of {', '.join(Variables)}; auto is used")
        return Variables.AUTO


def _log_volume(annotations: Mapping[str, str], volumes: Collection[str], told: list[str]) -> str:
    name = annotations.get(LOG_VOLUME_ANNOTATION, "").strip()
    if not name or name in volumes:
        return name
    told.append(f"{LOG_VOLUME_ANNOTATION}: the pod has no volume {name[:63]!r}; the log goes to stdout only")
    return ""
