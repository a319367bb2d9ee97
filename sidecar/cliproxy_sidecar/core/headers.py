"""Which headers pass between caller and provider, and which we set.

Names are lower-case bytes, as ASGI gives them. `host` and `content-length` are the HTTP client's business.
Addresses are left to `dialect`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import ProviderType

Header = tuple[bytes, bytes]

ANTHROPIC_VERSION: Final = b"2023-06-01"
"""For callers that send none; the only version in use. Source: Anthropic API documentation (read 2026-11)."""
_SUBSCRIPTION_KEY: Final = "sk-ant-oat"
"""Anthropic's login tokens go as a bearer token, not as an API key (issue threads, read 2026-11)."""

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""RFC 9110 section 7.6.1; what `Connection` names comes on top."""
CREDENTIALS: Final = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
        b"ocp-apim-subscription-key",
        b"cookie",
        # These go with the caller's own key: beside ours they are refused, and a refusal cools our key.
        b"openai-organization",
        b"openai-project",
        b"x-goog-user-project",
    }
)
"""Callers' credentials; sidecars bring their own."""
STRIPPED_FROM_REQUESTS: Final = (
    HOP_BY_HOP
    | CREDENTIALS
    | {
        b"host",
        b"content-length",
        b"expect",
        # Answers must be readable here (usage, errors, first content), so none may come compressed.
        b"accept-encoding",
        # Addresses inside the cluster are no provider's business.
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
    }
)
STRIPPED_FROM_RESPONSES: Final = HOP_BY_HOP | {b"set-cookie", b"set-cookie2", b"alt-svc"}
"""Cookies bind a caller to one provider; `alt-svc` would tell it of another way to what it thinks is us."""
OWN_PREFIX: Final = b"x-cliproxy-"
_USUAL_CONNECTIONS: Final = frozenset({b"", b"keep-alive", b"close"})


class UnusableCredentialError(ValueError):
    """A key with characters that no header can carry: the Secret's fault. The message does not show it."""


@dataclass(frozen=True, slots=True)
class FixedHeaders:
    """What every request with one credential of one provider carries; made once per snapshot."""

    items: tuple[Header, ...]
    names: frozenset[bytes]
    """Callers' headers of these names give way."""
    defaults: tuple[Header, ...]
    """Sent when the caller sends none of the name."""


def auth_headers(provider_type: ProviderType, key: str) -> list[Header]:
    """Return the header that shows the key to a provider of this type.

    Raises:
        UnusableCredentialError: the key has characters that no header can carry.

    """
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise UnusableCredentialError("the key is empty or has characters that a header cannot carry")
    value = key.encode("ascii")
    if provider_type is ProviderType.AZURE_OPENAI:
        return [(b"api-key", value)]
    if provider_type is ProviderType.ANTHROPIC and not key.startswith(_SUBSCRIPTION_KEY):
        return [(b"x-api-key", value)]
    return [(b"authorization", b"Bearer " + value)]


def fixed_headers(provider: Provider, key: str | None) -> FixedHeaders:
    """Return what every request to a provider with this key carries.

    That is the key (None: the provider takes none), the object's own `headers` and identity coding. The
    object's headers win over the caller's, the key over both.

    Raises:
        UnusableCredentialError: the key has characters that no header can carry.

    """
    auth = auth_headers(provider.type, key) if key is not None else []
    fixed = {
        name.lower().encode("latin-1", "replace"): value.encode("latin-1", "replace")
        for name, value in provider.headers.items()
    }
    fixed |= {b"accept-encoding": b"identity", **dict(auth)}
    defaults: list[Header] = [(b"content-type", b"application/json")]
    if provider.type is ProviderType.ANTHROPIC:
        defaults.append((b"anthropic-version", ANTHROPIC_VERSION))
    return FixedHeaders(
        items=tuple(fixed.items()),
        names=frozenset(fixed),
        defaults=tuple(item for item in defaults if item[0] not in fixed),
    )


def request_headers(downstream: Iterable[Header], fixed: FixedHeaders) -> list[Header]:
    """Return the headers of the request to the provider."""
    headers: list[Header] = []
    named = b""
    for item in downstream:
        name = item[0]
        if name in STRIPPED_FROM_REQUESTS:
            named = item[1] if name == b"connection" else named
        elif name not in fixed.names and not name.startswith(OWN_PREFIX):
            headers.append(item)
    headers = _without_named(headers, named)
    sent = [name for name, _ in headers]
    headers += [item for item in fixed.defaults if item[0] not in sent]
    headers += fixed.items
    return headers


def response_headers(upstream: Iterable[Header]) -> list[Header]:
    """Return the headers of the answer that go downstream; names may be of any case, and come out lower."""
    headers: list[Header] = []
    named = b""
    for received, value in upstream:
        name = received.lower()
        if name in STRIPPED_FROM_RESPONSES:
            named = value if name == b"connection" else named
        elif not name.startswith(OWN_PREFIX):
            headers.append((name, value))
    return _without_named(headers, named)


def _without_named(headers: list[Header], connection: bytes) -> list[Header]:
    """Drop what the `Connection` header names as meant for this hop only."""
    if connection.lower() in _USUAL_CONNECTIONS:
        return headers
    named = {token.strip().lower() for token in connection.split(b",")}
    return [item for item in headers if item[0] not in named]
