"""Looks for what an answer says about itself in its first and its last bytes, in any format, streamed or not.

For answers that are not one short piece of JSON (see `told`). The texts of the answer are not looked into: a
key's last quotation mark has no backslash before it, as those inside JSON's texts have; and a value with an
escape is not believed.
"""

import re
from typing import Final

KEPT_BYTES: Final = 2048
"""Of the begin and of the end: model and id stand first, reasons and usage last."""
MAX_REASONS: Final = 8
MAX_PLACES: Final = 64
"""That look like what is looked for; events of a stream mention their reason before it is known."""

# Searched for as bytes, matched where they are found: searches by pattern would cost a third of a request.
_MODEL: Final = re.compile(rb'"model(?:Version)?"\s*:\s*"([ !#-\[\]-~]{1,128})"')
_ID: Final = re.compile(rb'"(?:id|responseId)"\s*:\s*"([ !#-\[\]-~]{1,128})"')
_REASON: Final = re.compile(rb'(?:_reason|hReason|_details"\s*:\s*\{\s*"reason)"\s*:\s*"([A-Za-z_]{1,40})"')
_REASON_WORDS: Final = (
    (b'_reason"', (b'"finish', b'"stop')),
    (b'hReason"', (b'"finis',)),
    (b'_details"', (b'"incomplete',)),
)
"""Each begins with a letter that is rare in text, so that looking for it passes over most bytes; and what
stands before it."""
_NOT_YET: Final = b":null"


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

    def model(self) -> str:
        """Return which model answers; "" if it is not found, as with the others."""
        return _first(_MODEL, b'"model', self._head)

    def response_id(self) -> str:
        """Return the answer's own id."""
        return _first(_ID, b'"id"', self._head) or _first(_ID, b'"responseId"', self._head)

    def reasons(self) -> tuple[str, ...]:
        """Return the reasons for which choices ended, each once; of one format only."""
        data, found = self._tail, list[str]()
        for word, before in _REASON_WORDS:
            at = data.rfind(word)
            for _ in range(MAX_PLACES):
                if at < 0 or len(found) == MAX_REASONS:
                    break
                if not data.startswith(_NOT_YET, at + len(word)):
                    reason = _REASON.match(data, at)
                    if reason is not None and data.endswith(before, 0, at):
                        found.append(reason[1].decode())
                at = data.rfind(word, 0, at)
            if found:
                break
        return tuple(dict.fromkeys(reversed(found)))


def _first(pattern: re.Pattern[bytes], word: bytes, data: bytes) -> str:
    """Return what the pattern captures where the word stands first as a key; "" if nowhere."""
    at = data.find(word)
    for _ in range(MAX_PLACES):
        if at < 0:
            break
        found = pattern.match(data, at)
        if found is not None:
            return found[1].decode()
        at = data.find(word, at + 1)
    return ""
