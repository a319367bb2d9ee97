"""Chunks of a stream that are content and nothing else, known by their likeness to one before.

Tokens of one stream differ in one text and in nothing else. What was found plain once (`stream.plain_events`)
and comes again with another text needs no dozen looks for words that might mean something.
"""

from typing import Final

from cliproxy_sidecar.core.stream import plain_events

MAX_LEARNT: Final = 4
"""Shapes learnt per stream: where chunks differ in more than their text, learning stops."""
_KEYS: Final = (b'"content":"', b'"text":"')
"""Of chat's and of Anthropic's and the older completions' text."""


class PlainChunks:
    """Looks at one stream's chunks, each of which begins an event."""

    __slots__ = ("_begin", "_end", "_framing_bytes", "_learnt")

    def __init__(self) -> None:
        self._begin = self._end = b""
        """What stands before and behind the text of the shape learnt last."""
        self._framing_bytes = 0
        self._learnt = 0

    def count(self, chunk: bytes) -> int:
        """Return how many plain events the chunk consists of; 0: look closer."""
        begin, end = self._begin, self._end
        if begin and chunk.startswith(begin) and chunk.endswith(end) and len(chunk) >= self._framing_bytes:
            text = chunk[len(begin) : len(chunk) - len(end)]
            # The same string, not yet another: no quote in it, and none of ours escaped; the same line.
            if (
                text.find(b'"') < 0
                and not text.endswith(b"\\")
                and text.find(b"\n") < 0
                and text.find(b"\r") < 0
            ):
                return 1
        count = plain_events(chunk)
        if count == 1 and self._learnt < MAX_LEARNT:
            self._learn(chunk)
        return count

    def _learn(self, chunk: bytes) -> None:
        self._learnt += 1
        for key in _KEYS:
            found = chunk.find(key)
            if found < 0:
                continue
            start = found + len(key)
            stop = chunk.find(b'"', start)
            if stop >= 0 and chunk[stop - 1 : stop] != b"\\":
                self._begin, self._end = chunk[:start], chunk[stop:]
                self._framing_bytes = len(self._begin) + len(self._end)
            return
