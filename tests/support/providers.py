"""Scripted providers as fixtures, and raw conversations with them.

Thin: the providers themselves live in `cliproxy_dev.providers`. Fixtures are brought in by the conftest of
the folder that uses them.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import msgspec
import pytest_asyncio

from cliproxy_dev.providers.provider import ScriptedProvider

KEY = "sk-test"
DEADLINE_S = 10.0


@pytest_asyncio.fixture
async def scripted_openai() -> AsyncIterator[ScriptedProvider]:
    """An OpenAI that accepts KEY and serves any model."""
    async with ScriptedProvider(kind="openai", name="gpt", keys={"main": KEY}) as provider:
        yield provider


@pytest_asyncio.fixture
async def scripted_anthropic() -> AsyncIterator[ScriptedProvider]:
    """An Anthropic that accepts KEY and serves any model."""
    async with ScriptedProvider(kind="anthropic", name="claude", keys={"main": KEY}) as provider:
        yield provider


def chat_request(
    prompt: str = "Hello", *, stream: bool = False, model: str = "gpt-4o", key: str = KEY
) -> bytes:
    """Return the raw bytes of a chat completion request to an OpenAI."""
    body = msgspec.json.encode(
        {"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": prompt}]}
    )
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"authorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back on a raw connection and how that ended: end of data, a reset, or not at all."""

    data: bytes
    ending: Literal["end", "reset", "open"]

    @property
    def head(self) -> str:
        """Status line and headers."""
        return self.data.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def body(self) -> bytes:
        """What followed the head, chunk framing included."""
        return self.data.partition(b"\r\n\r\n")[2]


async def converse(provider: ScriptedProvider, sent: bytes, *, until: bytes | None = None) -> Heard:
    """Send raw bytes and read to the connection's end or to where `until` appears; or TimeoutError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
    data = b""
    try:
        async with asyncio.timeout(DEADLINE_S):
            writer.write(sent)
            while until is None or until not in data:
                piece = await reader.read(65536)
                if not piece:
                    return Heard(data, "end")
                data += piece
            return Heard(data, "open")
    except ConnectionResetError:
        return Heard(data, "reset")
    finally:
        writer.transport.abort()
