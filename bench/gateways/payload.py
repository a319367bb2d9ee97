"""The requests and answers that every contender carries: a chat completion of about 1 KB each way.

Plain bytes, made once. How fast and how often they are sent is left to the load generators.
"""

import json
import re
from typing import Final

MODEL: Final = "gpt-4o-mini"
MARK: Final = "benchmark-answer"
"""Stands in the provider's answer: whoever returns it has really forwarded."""
PACED_TOKENS: Final = 40
FLOOD_TOKENS: Final = 400
PACE_S: Final = 0.05
"""Between two tokens of a stream that asks for fewer than `FLOOD_TOKENS`: 20 tokens a second."""
STAMP: Final = re.compile(rb"@(\d+\.\d+)@")
"""A token's text is the instant it was sent, so every gateway carries its own measurement."""
MARKS: Final = b"@"
"""Stands around a stamp and nowhere else."""
STREAM_ENDS: Final = (b"[DONE]", b"message_stop")
"""The last event in OpenAI's and in Anthropic's format."""

_PROMPT: Final = "Say in one word whether a proxy should be fast. " * 18
_TEXT: Final = f"{MARK} " + "It should, and it should say where its time goes. " * 12
_CHUNK: Final = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"@%.6f@"},"finish_reason":null}]}\n\n'
)
LAST_CHUNKS: Final = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"gpt-4o-mini","choices":[],'
    b'"usage":{"prompt_tokens":200,"completion_tokens":40,"total_tokens":240}}\n\ndata: [DONE]\n\n'
)


def answer() -> bytes:
    """Return the provider's answer to a request that is not streamed."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": _TEXT, "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350}
    document = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1760000000,
        "model": MODEL,
        "choices": [choice],
        "usage": usage,
        "system_fingerprint": "fp_bench",
    }
    return json.dumps(document, separators=(",", ":")).encode()


def body(*, model: str = MODEL, stream_tokens: int = 0) -> bytes:
    """Return a caller's request; `stream_tokens` above 0 asks for a stream of so many tokens.

    `FLOOD_TOKENS` or more come as fast as they are taken, fewer at one in `PACE_S`.
    """
    document: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": _PROMPT}]}
    document["max_tokens"] = stream_tokens or 256
    if stream_tokens:
        document["stream"] = True
    return json.dumps(document, separators=(",", ":")).encode()


def token(now_s: float) -> bytes:
    """Return one event of a stream, stamped."""
    return _CHUNK % now_s


def request(path: str, content: bytes, headers: dict[str, str]) -> bytes:
    """Return an HTTP/1.1 request, ready to be written again and again on one connection."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content
