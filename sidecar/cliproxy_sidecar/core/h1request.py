"""Reads the HTTP/1.1 requests of one connection: bytes in, heads, bodies or one error out.

httptools parses, this decides what counts as a request. Sockets, time and answers are left to the server.

A request is in `heads` from the moment its head is complete; its body grows there until `complete`. Pipelined
requests stand behind it. What llhttp lets through and we refuse: heads without end, trailers and chunk
extensions without end. An upgrade (Java's HTTP client asks for h2c in every first request) is no error: the
request is served as what it is, without one.
"""

from collections import deque
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import unquote

import httptools

from cliproxy_sidecar.core.h1known import MAX_MISSES, KnownHead, learn

MAX_HEAD_BYTES: Final = 1024 * 1024
"""Request line and headers together; above any profile's `maxHeaderBytes`. Likewise trailers, and the bytes
between two pieces of body (chunk extensions)."""


_HASH: Final = ord("#")
"""As a number: `in` with bytes on both sides raises and swallows a TypeError inside CPython 3.11."""


_NOTED: Final = frozenset({b"expect", b"connection", b"proxy-connection", b"x-request-id"})
"""Names of headers that are looked at; two of them may keep an HTTP/1.0 connection (to llhttp as well)."""
_MAX_KNOWN: Final = 256
_MAX_KNOWN_BYTES: Final = 256


class Fault(Enum):
    """Why a connection cannot be read any further."""

    MALFORMED = auto()
    HEAD_TOO_LARGE = auto()


class Request:
    """One request. `method`, `path` and so on are final; the body may still be coming."""

    __slots__ = (
        "body_bytes",
        "complete",
        "expects_continue",
        "has_id",
        "head",
        "head_bytes",
        "headers",
        "keep_alive",
        "max_body_bytes",
        "method",
        "old",
        "parts",
        "path",
        "query",
    )

    def __init__(self, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self.method = method
        self.path = path
        """Without the query; percent signs decoded."""
        self.query = query
        self.headers = headers
        """In order, names in lower case."""
        self.head_bytes = 0
        """What they take at most: a quick bound, larger if other things came with the head."""
        self.keep_alive = True
        """The caller would send another request on this connection."""
        self.old = False
        """HTTP/1.0: knows no chunks."""
        self.has_id = False
        """There is an `x-request-id` among the headers."""
        self.expects_continue = False
        """Sends the body when it is asked for."""
        self.parts: list[bytes] = []
        self.body_bytes = 0
        """Received so far, kept or not."""
        self.max_body_bytes: int | None = None
        """Beyond it nothing is kept: whoever serves the request sees `is_too_large`."""
        self.complete = False
        self.head: KnownHead | None = None
        """What all requests with this head share, if it has come before on the connection."""

    def again(self, head: KnownHead, at: int, length: bytes, body: bytes, received_bytes: int) -> "Request":
        """Return a whole request that has the same head but for the value of the header at this place."""
        headers = self.headers
        if headers[at][1] != length:
            headers = headers.copy()
            headers[at] = (headers[at][0], length)
        request = Request(self.method, self.path, self.query, headers)
        request.head, request.head_bytes, request.has_id = head, received_bytes, self.has_id
        if body:
            request.parts.append(body)
        request.body_bytes = len(body)
        request.complete = True
        return request

    @property
    def is_too_large(self) -> bool:
        """Whether the body, as far as it is here, exceeds the bound."""
        return self.max_body_bytes is not None and self.body_bytes > self.max_body_bytes

    def body(self) -> bytes:
        """Return the bytes of the body that have come and give them up."""
        parts, self.parts = self.parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def bound(self, max_body_bytes: int) -> None:
        """Keep no more than that of the body; 0: it is of no interest at all."""
        self.max_body_bytes = max_body_bytes
        if self.is_too_large:
            self.parts.clear()


class RequestReader:
    """Reads one connection."""

    __slots__ = (
        "_barren_bytes",
        "_between",
        "_expects",
        "_fields",
        "_known",
        "_last_url",
        "_misses",
        "_noted",
        "_parser",
        "_request",
        "_url",
        "fault",
        "heads",
    )

    def __init__(self) -> None:
        self._parser = _parser(self)
        self._url = self._last_url = b""
        """Of the head that is coming, and of the one before."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._expects = False
        self._noted: set[bytes] | None = None
        """Names of the head that matter here."""
        self._request: Request | None = None
        """Whose body is coming."""
        self._barren_bytes = 0
        """Since the last progress: a complete head, a piece of body, an end."""
        self._between = True
        """Not one byte has come of what follows the last request."""
        self._known: KnownHead | None = None
        self._misses = 0
        """Requests in a row that were not known."""
        self.heads: deque[Request] = deque()
        """Requests whose head is complete, the oldest first; whoever serves one takes it out."""
        self.fault: Fault | None = None
        """Final; what is in `heads` was good, but one that is not complete will never be."""

    def feed(self, data: bytes) -> None:
        """Read what came. Never raises: look at the fields afterwards."""
        if self.fault is not None:
            return None
        if not self._between:
            return self._parse(data)
        if self._known is not None and (request := self._known.read(data)) is not None:
            self._misses = 0
            self.heads.append(request)
            return None
        served = len(self.heads)
        self._parse(data)
        if self._between and self._misses < MAX_MISSES and len(self.heads) == served + 1:
            self._misses += 1
            self._known = learn(data, self.heads[-1])
        return None

    def _parse(self, data: bytes) -> None:
        self._barren_bytes += len(data)
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = self._downgraded() + data[upgrade.args[0] :]
            except httptools.HttpParserError:
                self.fault = Fault.MALFORMED
                return
        if self._barren_bytes > MAX_HEAD_BYTES:
            self.fault = Fault.HEAD_TOO_LARGE if self._request is None else Fault.MALFORMED

    def _downgraded(self) -> bytes:
        """Take the last head back and return it as if it had not asked for an upgrade.

        The parser would take a body for bytes of the other protocol.
        """
        self._parser = _parser(self)
        request = self.heads.pop()
        self._request = None
        lines = b"".join([b"%b: %b\r\n" % item for item in request.headers if item[0] != b"upgrade"])
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (request.method.encode(), self._last_url, lines)

    # ---------------------------------------------------------- the parser's callbacks
    def on_message_begin(self) -> None:
        """Begin a request."""
        self._between = False

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are nobody's business."""
        if self._request is None:
            name = name.lower()
            self._fields.append((name, value))
            if name in _NOTED:
                self._note(name, value)

    def _note(self, name: bytes, value: bytes) -> None:
        if self._noted is None:
            self._noted = set()
        self._noted.add(name)
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects = True

    def on_headers_complete(self) -> None:
        """End a head."""
        parser, url, noted, fields = self._parser, self._url, self._noted, self._fields
        self._last_url, self._url, self._fields = url, b"", []
        method = parser.get_method()
        if method == b"CONNECT":
            raise ValueError("no tunnels here")  # The parser makes it a malformed request.
        try:
            path, query = _targets[url]
        except KeyError:
            path, query = _target(url)
        request = Request("POST" if method == b"POST" else method.decode("ascii"), path, query, fields)
        keep_alive = parser.should_keep_alive()
        # A version 1.0 keeps the connection only if it says so in a header; asking for it is dear.
        if not keep_alive or noted is not None:
            request.old = parser.get_http_version() == "1.0"
            request.keep_alive = keep_alive and not request.old
        if noted is not None:
            request.expects_continue = self._expects
            request.has_id = b"x-request-id" in noted
            self._noted, self._expects = None, False
        request.head_bytes = self._barren_bytes
        self._request = request
        self._barren_bytes = 0
        self.heads.append(request)

    def on_body(self, part: bytes) -> None:
        """Take a piece of the body."""
        request = self._request
        self._barren_bytes = 0
        if request is not None:
            request.body_bytes += len(part)
            bound = request.max_body_bytes
            if bound is None or request.body_bytes <= bound:
                request.parts.append(part)
            else:
                request.parts.clear()

    def on_message_complete(self) -> None:
        """End a request."""
        if self._request is not None:
            self._request.complete = True
            self._request = None
        self._barren_bytes = 0
        self._between = True


def length_of(value: bytes) -> int:
    """Return a length that llhttp has let through: of 64 bits at most, but behind any number of zeros."""
    return int(value.lstrip(b"0") or b"0")


def _target(url: bytes) -> tuple[str, bytes]:
    """Return the path and the query of a request's target, and remember short ones: callers use a few."""
    if url[:1] != b"/" or _HASH in url:
        parsed: Any = httptools.parse_url(url)  # Its types say that nothing can be missing, which is not so.
        raw_path, query = parsed.path or b"/", parsed.query or b""
    else:
        raw_path, _, query = url.partition(b"?")
    path = raw_path.decode("ascii")
    if "%" in path:
        path = unquote(path)
    if len(url) <= _MAX_KNOWN_BYTES and len(_targets) < _MAX_KNOWN:
        _targets[url] = (path, query)
    return path, query


_targets: Final[dict[bytes, tuple[str, bytes]]] = {}


def _parser(reader: RequestReader) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(reader)
    # What follows a request with "Connection: close" is dropped by whoever answers it.
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser
