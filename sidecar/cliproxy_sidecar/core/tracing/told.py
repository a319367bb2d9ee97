"""What an answer's bytes say about itself: which model answered, under which id, why it ended.

Looked for in the first and the last bytes of what the caller is sent, in any of the formats, streamed or not;
the texts of the answer are not looked into: inside JSON text a quotation mark has a backslash before it.
"""

import re
from typing import Final

import msgspec

KEPT_BYTES: Final = 4096
"""Of the begin and of the end: model and id stand first, reasons and usage last."""
MAX_REASONS: Final = 8

_MODEL: Final = re.compile(rb'(?<!\\)"model(?:Version)?"\s*:\s*"([!#-\[\]-~]{1,128})"')
_ID: Final = re.compile(rb'(?<!\\)"(?:id|responseId)"\s*:\s*"([A-Za-z0-9_.:\-]{1,128})"')
_REASON: Final = re.compile(
    rb'(?<!\\)"(?:finish_reason|stop_reason|finishReason|incomplete_details"\s*:\s*\{\s*"reason)"'
    rb'\s*:\s*"([A-Za-z_]{1,40})"'
)


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
        head, tail = self._head, self._tail
        model, named = _MODEL.search(head), _ID.search(head)
        reasons = _REASON.findall(tail)
        return Told(
            _clean(model[1], secrets) if model is not None else "",
            _clean(named[1], secrets) if named is not None else "",
            tuple(dict.fromkeys([one.decode() for one in reasons]))[-MAX_REASONS:],
        )


def _clean(value: bytes, secrets: tuple[bytes, ...]) -> str:
    return "" if any(secret in value for secret in secrets) else value.decode()
