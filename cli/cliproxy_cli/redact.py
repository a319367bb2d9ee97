"""Takes secrets out of what leaves the house: values under telling names, keys by shape, queries of URLs.

Of pods also what programs are started with, of AlertRules the paths of receivers. Rather too much than too
little: a bundle is read by people who must not have the keys.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

HIDDEN: Final = "[hidden]"
_TELLING: Final = re.compile(
    r"(?:^|[-_.])(?:authorization|auth|api-?key|token|secret|password|passwd|credential|cookie|bearer|private-?key)s?$",
    re.IGNORECASE,
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_REFERENCES: Final = ("ref", "refs", "name", "names")
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KEYS: Final = re.compile(
    r"""
      \b(?:sk|pk|rk|gsk|xai|xox[abpr]|ghp|gho|hf|r8|pplx|AIza|ya29)[-_.A-Za-z0-9]{12,}  # providers' prefixes
    | \beyJ[-_A-Za-z0-9]{8,}\.[-_A-Za-z0-9]{8,}\.[-_A-Za-z0-9]*                          # JSON web tokens
    | (?<=hooks\.slack\.com/services/)\S+
    | (?<=discord\.com/api/webhooks/)\S+ | (?<=discordapp\.com/api/webhooks/)\S+
    | (?<=Bearer\s)\S+ | (?<=bearer\s)\S+ | (?<=Basic\s)\S+
    | -----BEGIN[^-]+PRIVATE\ KEY-----.*?(?:-----END[^-]+PRIVATE\ KEY-----|\Z)
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                                                    # user and password
    """,
    re.VERBOSE | re.DOTALL,
)
_ASSIGNED: Final = re.compile(
    r"""(?P<name>(?:api[-_]?key|authorization|token|secret|password|passwd|cookie)["']?\s*[:=]\s*["']?)"""
    r"""(?P<value>[^\s"',;}&]{6,})""",
    re.IGNORECASE,
)
_QUERY: Final = re.compile(r"(?P<url>https?://[^\s?\"']+)\?[^\s\"']+")
_MANAGED: Final = frozenset({"managedFields", "uid"})
_WORDS: Final = ("args", "command")
_OURS: Final = ("cliproxy-operator", "cliproxy-sidecar")


def redact(value: Any, *, under: str = "") -> Any:
    """Return a copy of a JSON-ready value without secrets; `under` is the name that it stands under."""
    if isinstance(value, Mapping):
        return _object(value, under)
    if isinstance(value, list):
        return [redact(one, under=under) for one in value]
    if isinstance(value, str):
        return HIDDEN if value and is_telling(under) else redact_text(value)
    return value


def redact_text(text: str) -> str:
    """Return a text without what looks like a key."""
    text = _KEYS.sub(HIDDEN, text)
    text = _ASSIGNED.sub(lambda found: f"{found['name']}{HIDDEN}", text)
    return _QUERY.sub(lambda found: f"{found['url']}?{HIDDEN}", text)


def is_telling(name: str) -> bool:
    """Whether what stands under this name is a secret by its name; a reference to one is not."""
    words = _CAMEL.sub("-", name)
    return not words.lower().endswith(_REFERENCES) and _TELLING.search(words) is not None


def _object(value: Mapping[str, Any], under: str) -> dict[str, Any]:
    if under == "headers":
        return dict.fromkeys(map(str, value), HIDDEN)
    if under in {"data", "stringData", "binaryData"}:
        return dict.fromkeys(map(str, value), HIDDEN)
    found: dict[str, Any] = {}
    ours = _is_ours(value)
    variable = "name" in value and "value" in value  # a container's variable, or a header's: who knows
    for name, one in value.items():
        if name in _MANAGED or name == _LAST_APPLIED:
            continue
        if name in _WORDS and isinstance(one, list) and not ours:
            found[str(name)] = [HIDDEN] * len(one)  # a program's own: `--db-password`, and then the password
        elif name == "notifications":
            found[str(name)] = redact(_origins_only(one))
        else:
            hidden = variable and name == "value" and isinstance(one, str) and one
            found[str(name)] = HIDDEN if hidden else redact(one, under=str(name))
    return found


def _is_ours(container: Mapping[str, Any]) -> bool:
    """Whether it is a container of this project's images, whose arguments hold no secrets."""
    image = container.get("image")
    return isinstance(image, str) and image.rpartition("/")[2].startswith(_OURS)


def _origins_only(value: Any) -> Any:
    """Return a copy whose `url`s end with the host: many receivers know a sender by the address's path."""
    if isinstance(value, Mapping):
        return {
            name: _origin(one) if name == "url" and isinstance(one, str) else _origins_only(one)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_origins_only(one) for one in value]
    return value


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    more = parts.path.strip("/") or parts.query or parts.fragment
    return f"{parts.scheme}://{host}/{HIDDEN}" if more else f"{parts.scheme}://{host}"
