"""The body of a caller's request, decoded once, with only the fields that the scripted providers look at.

One loose type serves every endpoint: the real providers' own checks (what is required where) are left to the
format modules.
"""

from typing import Any

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for, in OpenAI's or Anthropic's words; unknown fields are ignored."""

    model: str | None = None
    messages: list[dict[str, Any]] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    n: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None
    response_format: dict[str, Any] | None = None
    input: Any = None
    prompt: Any = None
    instructions: Any = None
    encoding_format: str | None = None
    dimensions: int | None = None
    system: Any = None
    thinking: dict[str, Any] | None = None
    stop_sequences: list[str] | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a body could not be read: `param` is the field at fault, None when it is no JSON at all."""

    message: str
    param: str | None


_DECODER = msgspec.json.Decoder(Call)
EMPTY = Call()


def read_call(body: bytes) -> Call | Problem:
    """Decode a request body; an empty one is an empty call."""
    if not body:
        return EMPTY
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        return Problem(message=message, param=where.rstrip("`").partition("[")[0] or "body")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Problem(message=str(error), param=None)
