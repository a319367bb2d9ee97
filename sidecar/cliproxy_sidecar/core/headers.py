"""Which headers pass between caller and provider, and which we set.

Callers' names are lower-case bytes. `host` and `content-length` are left to the HTTP client and server,
addresses to `dialect`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import Form, form_of
from cliproxy_sidecar.core.h1request import Request

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
        # Addresses inside the cluster are no provider's business, nor is what the mesh says of its pods.
        b"cf-connecting-ip",
        b"forwarded",
        b"true-client-ip",
        b"via",
        b"x-client-ip",
        b"x-envoy-external-address",
        b"x-envoy-peer-metadata",
        b"x-envoy-peer-metadata-id",
        b"x-original-forwarded-for",
        b"x-real-ip",
        # Who the caller's user is, in words that somebody else might believe.
        b"cf-access-jwt-assertion",
        b"x-goog-iap-jwt-assertion",
    }
)
_OF_PROXIES: Final = (
    b"x-forwarded-",
    b"x-auth-request-",
    b"x-amzn-oidc-",
    b"x-ms-token-",
    b"x-ms-client-principal",
)
"""How names begin that proxies in front of us add: addresses, the client's certificate, names and tokens of
users (oauth2-proxy, AWS and Azure load balancers; their documentation, read 2026-11)."""
STRIPPED_FROM_RESPONSES: Final = HOP_BY_HOP | {b"content-length", b"set-cookie", b"set-cookie2", b"alt-svc"}
"""Cookies bind a caller to one provider; `alt-svc` would tell it of another way to what it thinks is us."""
UPSTREAM_REQUEST_ID: Final = b"x-cliproxy-upstream-request-id"
MAX_KNOWN_NAMES: Final = 512
"""That a sieve remembers: callers and providers use a few dozen, but they could make names up."""
MAX_KNOWN_BYTES: Final = 64
"""Of a name that is remembered: none that is in use comes near."""
OWN_PREFIX: Final = b"x-cliproxy-"
_USUAL_CONNECTIONS: Final = frozenset({b"keep-alive", b"close"})


class UnusableCredentialError(ValueError):
    """A key (or a header that goes with it) with characters that no header can carry. It is not shown."""


class Sieve:
    """Drops headers by name and joins the rest into a block; what is to happen to a name is worked out once.

    A block is header lines as they go out, each *behind* its line break, so that blocks can be joined, and a
    name behind a line break is found only where a header of that name begins.
    """

    __slots__ = ("_begins", "_dropped", "_renamed", "_starts")

    def __init__(
        self,
        dropped: frozenset[bytes],
        renamed: Mapping[bytes, bytes] | None = None,
        begins: tuple[bytes, ...] = (),
    ) -> None:
        """`begins`: how names begin that are dropped as well."""
        self._dropped = dropped
        self._renamed = renamed or {}
        self._begins = (OWN_PREFIX, *begins)
        self._starts: dict[bytes, bytes | None] = {}
        """Name as received: how its line begins; b"" for one that is dropped, None for `Connection`."""

    def block(self, headers: Iterable[Header]) -> bytes:
        """Return the lines that pass; names may be of any case, and come out lower."""
        starts = self._starts
        lines: list[bytes] = []
        named = b""
        for name, value in headers:
            try:
                start = starts[name]
            except KeyError:
                start = self._judge(name)
            if start:
                lines.append(start + value)
            elif start is None:
                named = named + b"," + value if named else value
        block = b"".join(lines)
        if block.count(b"\n") != len(lines) or (named and named.lower() not in _USUAL_CONNECTIONS):
            return _without_named(lines, named)
        return block

    def _judge(self, received: bytes) -> bytes | None:
        name = received.lower()
        passes = name not in self._dropped and not name.startswith(self._begins)
        start: bytes | None = b"\r\n%b: " % self._renamed.get(name, name) if passes else b""
        if not passes and name == b"connection":
            start = None
        if len(received) <= MAX_KNOWN_BYTES and len(self._starts) < MAX_KNOWN_NAMES:
            self._starts[received] = start
        return start


def block_of(headers: Iterable[Header]) -> bytes:
    """Return these headers as a block."""
    return b"".join([b"\r\n%b: %b" % item for item in headers])


def headers_of(block: bytes) -> list[Header]:
    """Return the headers of a block."""
    lines = block.split(b"\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


@dataclass(frozen=True, slots=True)
class FixedHeaders:
    """What every request with one credential of one provider carries; made once per snapshot."""

    items: tuple[Header, ...]
    defaults: tuple[Header, ...]
    """Sent when the caller sends none of the name."""
    block: bytes
    """`items`, ready to go out."""
    lacks: tuple[tuple[bytes, bytes], ...]
    """Of each default how its line begins, and the line."""
    sieve: Sieve
    """For the caller's headers."""


def auth_headers(provider_type: ProviderType, key: str, form: Form | None = None) -> list[Header]:
    """Return the header that shows the key to a provider of this type and form.

    Raises:
        UnusableCredentialError: the key has characters that no header can carry.

    """
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise UnusableCredentialError("the key is empty or has characters that a header cannot carry")
    value = key.encode("ascii")
    if provider_type is ProviderType.AZURE_OPENAI:
        return [(b"api-key", value)]
    if form is Form.GEMINI:
        return [(b"x-goog-api-key", value)]
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
    auth = auth_headers(provider.type, key, form_of(provider)) if key is not None else []
    fixed = {
        name.lower().encode("latin-1", "replace"): value.encode("latin-1", "replace")
        for name, value in provider.headers.items()
    }
    fixed |= {b"accept-encoding": b"identity", **dict(auth)}
    wanted: list[Header] = [(b"content-type", b"application/json")]
    if provider.type is ProviderType.ANTHROPIC:
        wanted.append((b"anthropic-version", ANTHROPIC_VERSION))
    items = tuple(fixed.items())
    if any(byte in value for _, value in items for byte in (b"\r", b"\n", b"\0")):
        raise UnusableCredentialError("one of the provider's own `headers` has a line break in it")
    defaults = tuple(item for item in wanted if item[0] not in fixed)
    return FixedHeaders(
        items=items,
        defaults=defaults,
        block=block_of(items),
        lacks=tuple((b"\r\n%b: " % item[0], block_of([item])) for item in defaults),
        sieve=Sieve(STRIPPED_FROM_REQUESTS | frozenset(fixed), begins=_OF_PROXIES),
    )


def request_block(downstream: Iterable[Header], fixed: FixedHeaders) -> bytes:
    """Return the headers of the request to the provider, but for those that the HTTP client adds."""
    block = fixed.sieve.block(downstream)
    for start, line in fixed.lacks:
        if block.find(start) < 0:
            block += line
    return block + fixed.block


def request_block_of(request: Request, fixed: FixedHeaders) -> bytes:
    """Do as `request_block` does; of a head that has come before it is known already."""
    head = request.head
    if head is None:
        return request_block(request.headers, fixed)
    block = head.block(fixed.sieve)
    if block is None:
        # The length, in which these heads differ, is dropped by every sieve.
        block = request_block(request.headers, fixed)
        head.keep(fixed.sieve, block)
    return block


_ANSWERS: Final = Sieve(STRIPPED_FROM_RESPONSES, {b"x-request-id": UPSTREAM_REQUEST_ID})


def answer_block(upstream: Iterable[Header]) -> bytes:
    """Return the headers of the answer that go downstream, but for those that say how its body is framed."""
    return _ANSWERS.block(upstream)


def _without_named(lines: list[bytes], connection: bytes) -> bytes:
    """Drop what the `Connection` header names as meant for this hop only, and lines with a break in them."""
    named = {token.strip().lower() for token in connection.split(b",")}
    return b"".join(
        line for line in lines if line.count(b"\n") == 1 and line[2:].partition(b":")[0] not in named
    )


def printable(name: str) -> bytes:
    """Return a name as a header's value can carry it: letters outside ASCII become question marks."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in name).encode()
