"""Peers that talk as oddly as the wire allows, by name; docs/bad-peers.md lists them with what they get."""

from cliproxy_api.snapshot import Timeouts
from support.answers import ANSWERS, CHUNKED, OK
from support.engine import HASTY

ODD: dict[str, tuple[bytes, int, bytes]] = {
    "with a length": (ANSWERS["length"], 200, b'{"id":1}'),
    "in chunks": (ANSWERS["chunked"], 200, b"abc\r\n\r\n"),
    "with trailers": (ANSWERS["trailers"], 200, b"abc"),
    "until the connection closes": (ANSWERS["until close"], 200, b"hello"),
    "in HTTP/1.0": (ANSWERS["old"], 200, b"hello"),
    "after 100 Continue": (ANSWERS["continue"], 200, b"{}"),
    "after 103 Early Hints": (ANSWERS["early hints"], 200, b"{}"),
    "204 without a body": (ANSWERS["no content"], 204, b""),
    "304 with the length of what it leaves out": (ANSWERS["not modified"], 304, b""),
    "two answers to one request": (ANSWERS["two"], 200, b"{}"),
    "rubbish behind it": (ANSWERS["rubbish behind"], 200, b"{}"),
    "rubbish behind the last chunk": (ANSWERS["rubbish behind chunks"], 200, b"abc"),
}
"""What a provider may send, however unusual: raw bytes, and the status and body that are read."""

BAD: dict[str, tuple[bytes, str]] = {
    "length and coding": (ANSWERS["both"], "protocol"),
    "lengths that differ": (ANSWERS["two lengths"], "protocol"),
    "a bad chunk size": (ANSWERS["bad chunk"], "protocol"),
    "a chunk longer than it says": (ANSWERS["chunk too long"], "protocol"),
    "a folded header": (ANSWERS["folded"], "protocol"),
    "another protocol": (ANSWERS["other protocol"], "protocol"),
    "TLS where there should be none": (b"\x15\x03\x01\x00\x02\x02\x28", "protocol"),
    "switching protocols": (ANSWERS["switching"], "protocol"),
    "a head of 70 KB": (ANSWERS["large head"], "too_many_headers"),
    "201 headers": (ANSWERS["many headers"], "too_many_headers"),
    "10,000 headers": (OK + b"a: b\r\n" * 10_000 + b"\r\n", "too_many_headers"),
    "a header of 17 KB": (ANSWERS["long header"], "too_many_headers"),
    "trailers without end": (CHUNKED + b"0\r\n" + b"a: b\r\n" * 40_000, "protocol"),
    "an extension without end": (CHUNKED + b"1;" + b"b" * 300_000, "protocol"),
    "interim answers without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, "too_many_headers"),
    "closed in the status line": (b"HTTP/1.", "reset"),
    "closed in the head": (OK + b"content-le", "reset"),
    "closed in the body": (OK + b"content-length: 9\r\n\r\nabc", "reset"),
    "closed in a chunk's size": (CHUNKED + b"3\r\nabc\r\n1", "reset"),
    "closed in a chunk": (CHUNKED + b"9\r\nabc", "reset"),
    "closed before the last chunk": (CHUNKED + b"3\r\nabc\r\n", "reset"),
    "closed in the trailers": (CHUNKED + b"3\r\nabc\r\n0\r\na: b\r\n", "reset"),
}
"""What ends an attempt: raw bytes, after which the provider closes, and the failure's kind."""

_SHORT = Timeouts(total_s=0.3)

SLOW: dict[str, tuple[bytes, bytes, Timeouts, str]] = {
    "silence": (b"", b"", HASTY, "first_byte_timeout"),
    "silence after 103 Early Hints": (b"HTTP/1.1 103 Early Hints\r\n\r\n", b"", HASTY, "first_byte_timeout"),
    "a head byte by byte": (b"", OK + b"a: b\r\n" * 30, HASTY, "first_byte_timeout"),
    "silence in the body": (OK + b"content-length: 9\r\n\r\nabc", b"", HASTY, "idle_timeout"),
    "silence before the body": (OK + b"content-length: 9\r\n\r\n", b"", HASTY, "idle_timeout"),
    "a chunk's extension byte by byte": (CHUNKED, b"1;" + b"e" * 100, HASTY, "idle_timeout"),
    "a body byte by byte": (
        OK + b"content-length: 99\r\n\r\n",
        b"x" * 99,
        Timeouts(total_s=0.3),
        "total_timeout",
    ),
    "a head byte by byte, with time": (b"", OK + b"a: b\r\n" * 30, _SHORT, "total_timeout"),
}
"""What takes too long: what is sent at once, then byte by byte, the times allowed, and the failure's kind."""

_POST = b"POST /a HTTP/1.1\r\n"
_CHUNKED_POST = _POST + b"host: x\r\ntransfer-encoding: chunked\r\n\r\n"

GARBAGE: dict[str, bytes] = {
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "a request line of one word": b"GET\r\n\r\n",
    "CONNECT": b"CONNECT else:443 HTTP/1.1\r\nhost: else:443\r\n\r\n",
    "HTTP/9.9": b"GET /a HTTP/9.9\r\n\r\n",
    "a header without a colon": b"GET /a HTTP/1.1\r\nno colon\r\n\r\n",
    "a folded header": b"GET /a HTTP/1.1\r\nx: a\r\n folded\r\n\r\n",
    "a header with a NUL": b"GET /a HTTP/1.1\r\nx: a\0b\r\n\r\n",
    "a header with a bare line feed": b"GET /a HTTP/1.1\r\nx: a\nb: c\r\n\r\n",
    "a path that is no ASCII": b"GET /\xff HTTP/1.1\r\n\r\n",
    "two lengths that differ": _POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "a length with a sign": _POST + b"content-length: +5\r\n\r\nhello",
    "a list of lengths": _POST + b"content-length: 5, 5\r\n\r\nhello",
    "length and coding": _POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding besides chunked": _POST + b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a bad chunk size": _CHUNKED_POST + b"zz\r\n",
    "a chunk longer than it says": _CHUNKED_POST + b"2\r\nhell",
}
"""What a caller sends that is no request."""
