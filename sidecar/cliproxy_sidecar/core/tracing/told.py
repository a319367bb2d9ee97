"""What an answer's bytes say about itself: which model answered, under which id, why it ended.

Looked for in the first and the last bytes of what the caller is sent, in any of the formats, streamed or not;
the texts of the answer are not looked into: inside JSON text a quotation mark has a backslash before it.
"""

import re
from typing import Final

import msgspec

KEPT_BYTES: Final = 2048
"""Of the begin and of the end: model and id stand first, reasons and usage last."""
MAX_REASONS: Final = 8
MAX_PLACES: Final = 64
"""That look like a reason; events of a stream mention theirs before it is known."""

# Searched for as bytes, matched where they are found: searches by pattern would cost a third of a request.
_MODEL: Final = re.compile(rb'"model(?:Version)?"\s*:\s*"([!#-\[\]-~]{1,128})"')
_ID: Final = re.compile(rb'"(?:id|responseId)"\s*:\s*"([A-Za-z0-9_.:\-]{1,128})"')
_REASON: Final = re.compile(rb'(?:_reason|hReason|_details"\s*:\s*\{\s*"reason)"\s*:\s*"([A-Za-z_]{1,40})"')
_BEFORE_REASON: Final = re.compile(rb'.*(?<!\\)"(?:finish|stop|finis|incomplete)', re.DOTALL)
_REASON_WORDS: Final = (b'_reason"', b'hReason"', b'_details"')
"""Each begins with a letter that is rare in text, so that looking for it passes over most bytes."""
_BEFORE_BYTES: Final = 32
_BACKSLASH: Final = ord("\\")


class Told(msgspec.Struct, frozen=True):
    """What was found; "" and () where nothing was."""

    model: str = ""
    response_id: str = ""
    reasons: tuple[str, ...] = ()


NOTHING: Final = Told()


class Ends:
    """The first and the last bytes of one answer."""

    __slots__ = ("_head", "_tail")

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""

    def take(self, data: bytes) -> None:
        """Take the next bytes."""
        room = KEPT_BYTES - len(self._head)
        if room > 0:
            self._head += data[:room]
        self._tail = data[-KEPT_BYTES:] if len(data) >= KEPT_BYTES else (self._tail + data)[-KEPT_BYTES:]

    def told(self, secrets: tuple[bytes, ...] = ()) -> Told:
        """Return what they say; a text that holds one of `secrets` is left out."""
        head = self._head
        return Told(
            _clean(_first(_MODEL, b'"model', head), secrets),
            _clean(_first(_ID, b'"id"', head) or _first(_ID, b'"responseId"', head), secrets),
            _reasons(self._tail),
        )


def _first(pattern: re.Pattern[bytes], word: bytes, data: bytes) -> bytes:
    """Return what the pattern captures where the word stands first, outside of text; b"" if nowhere."""
    at = data.find(word)
    for _ in range(MAX_PLACES):
        if at < 0:
            break
        found = pattern.match(data, at)
        if found is not None and (at == 0 or data[at - 1] != _BACKSLASH):
            return found[1]
        at = data.find(word, at + 1)
    return b""


def _reasons(data: bytes) -> tuple[str, ...]:
    """Return the reasons for which choices ended, from the last back to the first; of one format only."""
    found: list[str] = []
    for word in _REASON_WORDS:
        at = data.rfind(word)
        for _ in range(MAX_PLACES):
            if at < 0 or len(found) == MAX_REASONS:
                break
            reason = _REASON.match(data, at)
            if reason is not None and _BEFORE_REASON.fullmatch(data, max(at - _BEFORE_BYTES, 0), at):
                told = reason[1].decode()
                if told not in found:
                    found.append(told)
            at = data.rfind(word, 0, at)
        if found:
            break
    return tuple(found)


def _clean(value: bytes, secrets: tuple[bytes, ...]) -> str:
    return "" if any(secret in value for secret in secrets) else value.decode()
