"""Reads one HTTP/1.1 answer: bytes in, head, body, end or one error out.

httptools parses, this decides what counts as an answer. Sockets, time and buffers are left to the connection.

    HEAD --final head--> BODY --last byte--> COMPLETE      `error` ends HEAD and BODY for good
      `--<- 1xx heads are skipped            `--> SURPLUS: bytes that belong to no answer

llhttp itself, without its leniencies, refuses folded lines, NUL and bare CR or LF, a length that is repeated,
signed or a list, a length beside a transfer coding, and chunk sizes that are not plain hexadecimal (tried
with httptools 0.9; the tests keep it so). What it lets through and we refuse: other transfer codings than
one "chunked" (we ask for none), 101 (we ask for no other protocol), other versions than 1.0 and 1.1.
"""

from typing import Final

import httptools

from cliproxy_sidecar.core.outcome import TransportError, TransportFault

MAX_HEADERS: Final = 200
"""Lines in a head; the largest provider sends about 50."""
MAX_HEADER_LINE_BYTES: Final = 16 * 1024
"""Name and value of one header."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""All heads of one answer, the skipped ones included; likewise its trailers, and the bytes between two
pieces of body (chunk extensions)."""

_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"
_NO_BODY: Final = frozenset({204, 304})
_LINE_ENDS: Final = b"\r\n"


class _Stop(Exception):
    """Makes the parser stop; the reader's fields say why."""


class AnswerReader:
    """Reads the answers of one connection, one after the other; `begin` makes it ready for the next."""

    __slots__ = (
        "_barren_bytes",
        "_chunked",
        "_codings",
        "_framed",
        "_head_bytes",
        "_head_only",
        "_interim",
        "_parser",
        "_surplus",
        "_trailer_bytes",
        "_trailers",
        "body",
        "body_bytes",
        "complete",
        "error",
        "headers",
        "keep_alive",
        "status",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head_only = False
        self.keep_alive = False
        self._surplus = False
        """Bytes came that belong to no answer."""
        self.error: TransportError | None = None
        """Final; what is in `body` was good."""
        self._interim = False
        self._framed = False
        """The head says where the body ends; otherwise the end of the connection is the body's."""
        self._codings = 0
        self._chunked = False
        self._trailers = 0
        self._trailer_bytes = 0
        self._barren_bytes = 0
        self.begin()

    def begin(self, *, head_only: bool = False) -> None:
        """Be ready for an answer; `head_only`: to a HEAD request, hence without body whatever it declares.

        The answer before, if there was one, must be `reusable`.
        """
        if self._head_only:
            # The parser still waits for the body that does not come.
            self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self.status = 0
        """0 until the final head is complete."""
        self.headers: list[tuple[bytes, bytes]] = []
        """As on the wire, in order."""
        self.body: list[bytes] = []
        """What has arrived; whoever takes pieces out clears the list and `body_bytes`."""
        self.body_bytes = 0
        self.complete = False
        self._head_bytes = 0
        if self._codings:
            self._codings = 0
            self._chunked = False
            self._trailers = self._trailer_bytes = 0
            self._barren_bytes = 0

    @property
    def silent(self) -> bool:
        """Not one byte of an answer has come."""
        return self._head_bytes == 0

    @property
    def reusable(self) -> bool:
        """Another request may follow on this connection."""
        return self.complete and self.keep_alive and not self._surplus

    # -------------------------------------------------------------------- bytes in
    def feed(self, data: bytes) -> None:
        """Read what came. Never raises: look at the fields afterwards."""
        if self.complete:
            # Empty lines between answers are harmless, and the parser skips them as well.
            self._surplus = self._surplus or bool(data.strip(_LINE_ENDS))
        elif self.error is not None:
            return
        elif self.status:
            pieces = len(self.body)
            self._parse(data)
            if self._chunked and len(self.body) == pieces:
                self._count_barren(len(data))
        else:
            self._head_bytes += len(data)
            if self._head_bytes <= MAX_HEAD_BYTES:
                self._parse(data)
            else:
                self._end_head(data)

    def end(self) -> None:
        """Note that the provider has closed its side in good order."""
        if self.complete or self.error is not None:
            return
        if self.status and not self._framed:
            self.complete = True
        else:
            self.cut("closed in the body" if self.status else self._where())

    def cut(self, message: str) -> None:
        """Note that the connection broke; an error found before stays."""
        if not self.complete and self.error is None:
            self.error = TransportError("reset", message)

    def _where(self) -> str:
        return "closed without an answer" if self.silent else "closed in the head"

    def _end_head(self, data: bytes) -> None:
        """Take bytes that go beyond the bound, cut there, so that how they were split makes no difference."""
        room = len(data) - (self._head_bytes - MAX_HEAD_BYTES)
        self._parse(data[:room])
        if not self.status and self.error is None:
            self.error = TransportError("too_many_headers", f"a head of more than {MAX_HEAD_BYTES} bytes")
        else:
            self.feed(data[room:])

    def _count_barren(self, count: int) -> None:
        """Bound what is neither body nor the end of it: extensions and trailers that never end."""
        self._barren_bytes += count
        if self._barren_bytes > MAX_HEAD_BYTES and not self.complete and self.error is None:
            self.error = TransportError("protocol", "chunk extensions or trailers without end")

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.complete:
                self._surplus = True
            elif self.error is None:
                self.error = TransportError("protocol", str(error))

    # ---------------------------------------------------------- the parser's callbacks
    def on_message_begin(self) -> None:
        """Begin a head."""
        if self.complete:
            self._surplus = True
            raise _Stop

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or count a trailer."""
        if self.status:
            self._count_trailer(len(name) + len(value))
            return
        self.headers.append((name, value))
        if len(name) == 17 and name.lower() == _CODING:  # noqa: PLR2004 -- its length, looked at for each header
            self._codings += 1
            self._chunked = value.strip().lower() == b"chunked"

    def on_headers_complete(self) -> None:
        """End a head: skip it, refuse it, or make it the answer's."""
        parser = self._parser
        # No line is longer than all that has come.
        if len(self.headers) > MAX_HEADERS or self._head_bytes > MAX_HEADER_LINE_BYTES:
            self._bound_head()
        status = parser.get_status_code()
        if status < 200:  # noqa: PLR2004 -- an interim answer
            if status < 100 or status == 101:  # noqa: PLR2004
                self._refuse("protocol", f"status {status}")
            self._interim = True
            return
        if self._codings and (self._codings > 1 or not self._chunked):
            self._refuse("protocol", "a transfer coding other than chunked")
        keep_alive = parser.should_keep_alive()
        if not keep_alive and parser.get_http_version() not in ("1.1", "1.0"):
            self._refuse("protocol", f"HTTP version {parser.get_http_version()}")
        if self._head_only:
            self.complete = True
            keep_alive = keep_alive and not self._codings
        # The parser keeps no connection whose end is the body's.
        self._framed = (
            keep_alive
            or self._chunked
            or status in _NO_BODY
            or any(name.lower() == _LENGTH for name, _ in self.headers)
        )
        self.keep_alive = keep_alive
        self.status = status

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if self.complete:
            self._surplus = self._surplus or bool(data.strip(_LINE_ENDS))
            return
        self.body.append(data)
        self.body_bytes += len(data)
        self._barren_bytes = 0

    def on_message_complete(self) -> None:
        """End an answer or an interim one."""
        if not self._interim:
            self.complete = True
            return
        self._interim = False
        self.headers = []
        self._framed = self._chunked = False
        self._codings = 0

    def _bound_head(self) -> None:
        """Refuse a head of too many lines, or with one too long."""
        if len(self.headers) > MAX_HEADERS:
            self._refuse("too_many_headers", f"more than {MAX_HEADERS} headers")
        if any(len(name) + len(value) > MAX_HEADER_LINE_BYTES for name, value in self.headers):
            self._refuse("too_many_headers", f"a header of more than {MAX_HEADER_LINE_BYTES} bytes")

    def _count_trailer(self, size: int) -> None:
        self._trailers += 1
        self._trailer_bytes += size
        if self._trailers > MAX_HEADERS or self._trailer_bytes > MAX_HEAD_BYTES:
            self._refuse("protocol", "too many trailers")

    def _refuse(self, kind: TransportFault, message: str) -> None:
        self.error = TransportError(kind, message)
        raise _Stop
