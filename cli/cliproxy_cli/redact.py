"""Takes secrets out of what leaves the house: values under telling names, keys by shape, queries of URLs.

Rather too much than too little: a bundle is read by people who must not have the keys.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

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
    | (?<=Bearer\s)\S+ | (?<=bearer\s)\S+ | (?<=Basic\s)\S+
    | -----BEGIN[^-]+PRIVATE\ KEY-----.*?(?:-----END[^-]+PRIVATE\ KEY-----|\Z)
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                                                    # user and password
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
    found = {}
    variable = "name" in value and "value" in value  # a container's variable, or a header's: who knows
    for name, one in value.items():
        if name in _MANAGED or name == _LAST_APPLIED:
            continue
        hidden = variable and name == "value" and isinstance(one, str) and one
        found[str(name)] = HIDDEN if hidden else redact(one, under=str(name))
    return found
