"""The variables by which applications' SDKs find the sidecar; never over what a container sets itself.

Names were read from the SDKs' sources (openai, anthropic, google-genai; 2026-11-21).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cliproxy_operator.inject.options import Options, Variables
from cliproxy_operator.inject.shape import Json

PLACEHOLDER: Final = "the-sidecar-holds-the-key"
"""SDKs refuse to start without a key; the sidecar never sends it on."""


@dataclass(frozen=True, slots=True)
class Family:
    """One SDK's variables."""

    url: str
    path: str
    """What follows the sidecar's address."""
    key: str
    urls: frozenset[str]
    """Other names by which an application may have set the address."""
    keys: frozenset[str]
    """Other names by which it may have set a key."""


FAMILIES: Final = (
    Family("OPENAI_BASE_URL", "/v1", "OPENAI_API_KEY", frozenset({"OPENAI_API_BASE"}), frozenset()),
    Family("ANTHROPIC_BASE_URL", "", "ANTHROPIC_API_KEY", frozenset(), frozenset({"ANTHROPIC_AUTH_TOKEN"})),
    Family("GOOGLE_GEMINI_BASE_URL", "", "GEMINI_API_KEY", frozenset(), frozenset({"GOOGLE_API_KEY"})),
)


def missing(container: Json, options: Options) -> list[Json]:
    """Return the `env` entries to add to an application's container, maybe none.

    A family whose address the container sets itself is left alone, key and all, unless it is the sidecar's.
    """
    if options.variables is Variables.NEVER:
        return []
    own = {str(entry.get("name")): entry for entry in container.get("env") or []}
    sources = [] if options.variables is Variables.ALWAYS else container.get("envFrom") or []
    prefixes = [str(source.get("prefix") or "") for source in sources]
    added: list[Json] = []
    for family in FAMILIES:
        address = f"http://127.0.0.1:{options.proxy_port}{family.path}"
        urls, keys = {family.url, *family.urls}, {family.key, *family.keys}
        if _hidden(urls | keys, prefixes):
            continue
        set_urls = urls & own.keys()
        if not set_urls:
            added.append({"name": family.url, "value": address})
        elif any(own[name].get("value") != address for name in set_urls):
            continue
        if not keys & own.keys():
            added.append({"name": family.key, "value": PLACEHOLDER})
    return added


def obscured(container: Json, options: Options) -> bool:
    """Whether `envFrom` alone keeps variables out: worth telling."""
    if not container.get("envFrom") or options.variables is not Variables.AUTO:
        return False
    return bool(missing({**container, "envFrom": None}, options)) and not missing(container, options)


def _hidden(names: Iterable[str], prefixes: list[str]) -> bool:
    """Whether an `envFrom` may set any of these; `env` would override it."""
    return any(name.startswith(prefix) for name in names for prefix in prefixes)
