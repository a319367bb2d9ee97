r"""JSON with halves of characters: escapes of one half of a surrogate pair, for which UTF-8 has no bytes.

JavaScript's strings are cut between the two halves of an emoji (`text.slice(0, 1000)`), and its JSON says so
(`"\ud83d"`). By the grammar that is JSON, and most servers take it; our decoder does not, nor do Anthropic's
servers. So U+FFFD is put in the place of each, as decoders of text do: of the same length, so that all else
stays where it is. Only what could not be decoded comes here. Source: RFC 8259 section 8.2 (read 2026-11).
"""

import re
from typing import Final

MAX_LOOKS: Final = 50_000
"""At escapes that may be halves, in one text: some 50 ms."""

_BEGIN: Final = b"\\ud"
_PAIR: Final = re.compile(rb"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")
_HALF: Final = re.compile(rb"\\ud[89a-f][0-9a-f]{2}")
_REPLACEMENT: Final = b"\\ufffd"
_BACKSLASH: Final = b"\\"


def without_halves(data: bytes) -> bytes | None:
    """Return the text with U+FFFD for each half that stands alone; None: it has none, or is too much."""
    lower = data.lower()
    mended = bytearray()
    done = at = looks = 0
    while (at := lower.find(_BEGIN, seen := at)) >= 0:
        looks += 1
        if looks > MAX_LOOKS:
            return None
        if _is_escaped(lower, at, seen):
            at += len(_BEGIN)
        elif (pair := _PAIR.match(lower, at)) is not None:
            at = pair.end()
        elif (half := _HALF.match(lower, at)) is not None:
            mended += data[done:at] + _REPLACEMENT
            done = at = half.end()
        else:
            at += len(_BEGIN)
    return bytes(mended + data[done:]) if done else None


def _is_escaped(data: bytes, at: int, seen: int) -> bool:
    """Whether the backslash here is itself escaped: an odd number of them stands before it.

    None of them was `seen` before: each look ends behind a letter or a digit. Counted without a loop of ours,
    which would take seconds for a request of nothing else.
    """
    between = data[seen:at]
    return (len(between) - len(between.rstrip(_BACKSLASH))) % 2 == 1
