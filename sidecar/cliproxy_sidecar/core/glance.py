"""A complete body that is no stream, read in one go: nearly always a plain good answer that tells its usage.

One pass says that it is JSON, that it is no error and no filtered answer, and what it has used. Whatever is
out of the ordinary is left to `answer`, `outcome` and `usage`, which look closer; a property test compares.
"""

from typing import Any, Final

import msgspec

from cliproxy_sidecar.core.answer import FILTER_ENDS
from cliproxy_sidecar.core.chat_usage import ChatUsage
from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.usage import Usage, read_usage


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice] = []
    stop_reason: str | None = None
    error: Any = None
    candidates: Any = None
    feedback: Any = msgspec.field(default=None, name="promptFeedback")


class _Chat(_Body):
    usage: ChatUsage | None = None


class _Other(_Body):
    usage: dict[str, Any] | None = None


_GEMINI: Final = Dialect.GEMINI
_OPENAI: Final = Dialect.OPENAI
_CHAT: Final = msgspec.json.Decoder(_Chat)
_OTHER: Final = msgspec.json.Decoder(_Other)


def glance(dialect: Dialect, body: bytes) -> Usage | None:
    """Return the usage of a plain good answer; None: look closer. Never raises."""
    if dialect is _GEMINI:
        return None  # It has its own words for everything.
    try:
        seen = _CHAT.decode(body) if dialect is _OPENAI else _OTHER.decode(body)
    except JSON_FAULTS:
        return None
    if seen.error is not None or seen.candidates is not None or seen.feedback is not None:
        return None
    filtered = seen.stop_reason is not None and seen.stop_reason in FILTER_ENDS
    for choice in seen.choices:
        filtered = filtered or choice.finish_reason in FILTER_ENDS
    if filtered:
        return None
    usage = seen.usage
    if isinstance(usage, ChatUsage):
        return usage.told()
    return read_usage(dialect, usage) if usage else None
