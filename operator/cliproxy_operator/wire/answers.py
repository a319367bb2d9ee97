"""Reads what a sidecar answers: bytes in; a status, and a bounded body or lines out. Pure.

httptools parses, this decides what counts as an answer. Sockets and time are left to `connection.py`.
"""

from typing import Final

import httptools

MAX_ANSWER_BYTES: Final = 64 * 1024
"""Body of an answer to a push: what runs, and why something does not."""
MAX_BARREN_BYTES: Final = 32 * 1024
"""What may come in a row that is no body: a head, chunk sizes and extensions, trailers."""


class AnswerError(ValueError):
    """These bytes are no answer, or too many."""


class AnswerReader:
    """Reads the answers of one connection, one after the other; `begin` before each."""

    __slots__ = ("_barren_bytes", "_parser", "body", "complete", "keep_alive", "status")

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.body = bytearray()
        """What has come and was not taken out."""
        self.begin()

    def begin(self) -> None:
        """Be ready for an answer."""
        self.status = 0
        """0 until the head is complete."""
        self.complete = False
        self.keep_alive = False
        """Whether another request may follow on this connection."""
        self.body.clear()
        self._barren_bytes = 0

    @property
    def silent(self) -> bool:
        """Whether not one byte of the answer has come."""
        return not self.status and not self._barren_bytes

    def feed(self, data: bytes) -> None:
        """Read what came.

        Raises:
            AnswerError: it is no answer, belongs to none, or is not to be waited out. Bounding `body` is left
                to whoever takes it out.

        """
        if self.complete:
            raise AnswerError("bytes came that belong to no answer")
        before = len(self.body)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise AnswerError(f"no HTTP/1.1 answer: {error}"[:200]) from None
        if len(self.body) > before:
            self._barren_bytes = 0
        elif not self.complete:
            self._barren_bytes += len(data)
            if self._barren_bytes > MAX_BARREN_BYTES:
                raise AnswerError(f"more than {MAX_BARREN_BYTES} bytes without a byte of content")

    def lines(self) -> list[bytes]:
        """Take out the complete lines, without their newlines and the empty ones."""
        if b"\n" not in self.body:
            return []
        *lines, rest = bytes(self.body).split(b"\n")
        self.body[:] = rest
        return [line for line in lines if line]

    # ---------------------------------------------------------- the parser's callbacks
    def on_headers_complete(self) -> None:
        """End of the head."""
        if self.complete:
            raise AnswerError("more than one answer came")
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """End of the answer."""
        self.complete = True
        self.keep_alive = bool(self._parser.should_keep_alive())
