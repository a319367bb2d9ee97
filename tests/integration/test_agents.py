"""What Claude Code, Codex and the Gemini CLI send, at each type of provider: two turns of a tool's use.

The requests are golden cases of the translation, shaped after the agents' public sources and documentation
and written for these tests. The first turn must come back with a call that the agent can run, the second,
with its result, with an answer that ends as the agent expects.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliproxy_api.snapshot import Azure
from cliproxy_api.vocabulary import ProviderType
from cliproxy_dev.providers.provider import Kind, ScriptedProvider
from support import build
from support.sidecar import RunningSidecar, running_sidecar
from support.translating import frames, joined_gemini, joined_message

GOLDEN = Path(__file__).parents[1] / "translate_golden"
PROVIDERS: dict[str, tuple[Kind, ProviderType, str]] = {
    "openai": ("openai", ProviderType.OPENAI, "gpt-5"),
    "azure": ("azure", ProviderType.AZURE_OPENAI, "gpt-4o"),
    "compatible": ("groq", ProviderType.OPENAI_COMPATIBLE, "qwen3-32b"),
    "gemini-compatible": ("gemini", ProviderType.GEMINI, "gemini-3-pro"),
    "gemini": ("gemini_native", ProviderType.GEMINI, "gemini-3-pro"),
    "anthropic": ("anthropic", ProviderType.ANTHROPIC, "claude-sonnet-4-5"),
}
Turn = tuple[str, dict[str, Any], dict[str, str]]
"""Path, body, headers."""


def fixture(folder: str, name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((GOLDEN / folder / name / "in.json").read_text(encoding="utf-8"))[
        "body"
    ]
    return body


def data(stream: str) -> list[Any]:
    return [frame for frame in frames(re.sub(r"\r\n", "\n", stream).encode()) if isinstance(frame, dict)]


class ClaudeCode:
    """Anthropic messages, streamed, with thinking."""

    def first(self) -> Turn:
        body = fixture("messages_request", "claude-code")
        headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "claude-code-20250219"}
        return "/v1/messages?beta=true", body | {"model": "m", "messages": body["messages"][:1]}, headers

    def second(self, turn: Turn, stream: str) -> Turn:
        message = joined_message(data(stream))
        (use,) = [block for block in message["content"] if block["type"] == "tool_use"]
        assert (use["name"], message["stop_reason"]) == ("Bash", "tool_use")
        path, body, headers = turn
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": "a.py", "is_error": False}
        answered = [
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": [result]},
        ]
        return path, body | {"messages": [*body["messages"], *answered]}, headers

    def end(self, stream: str) -> str:
        message = joined_message(data(stream))
        assert message["stop_reason"] == "end_turn"
        return "".join(block["text"] for block in message["content"] if block["type"] == "text")


class Codex:
    """OpenAI's Responses API, streamed, nothing stored."""

    def first(self) -> Turn:
        body = fixture("responses_request", "codex")
        headers = {"originator": "codex_cli_rs", "session_id": "0199a213-81c0-7800-8aa1-bbab2a035a53"}
        return "/v1/responses", body | {"model": "m", "input": body["input"][:3]}, headers

    def second(self, turn: Turn, stream: str) -> Turn:
        output = [event["item"] for event in data(stream) if event["type"] == "response.output_item.done"]
        (call,) = [item for item in output if item["type"] == "function_call"]
        assert call["name"] == "shell"
        path, body, headers = turn
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "a.py"}
        return path, body | {"input": [*body["input"], *output, result]}, headers

    def end(self, stream: str) -> str:
        last = data(stream)[-1]
        assert last["type"] == "response.completed"
        parts = [part for item in last["response"]["output"] for part in item.get("content") or ()]
        return "".join(part["text"] for part in parts)


class GeminiCli:
    """Gemini's own API, streamed, with thoughts; results bear the agent's own ids."""

    def first(self) -> Turn:
        body = fixture("gemini_request", "gemini-cli")
        headers = {"x-goog-api-key": "unused", "x-goog-api-client": "google-genai-sdk/1.30 gl-node/v20"}
        path = "/v1beta/models/m:streamGenerateContent?alt=sse"
        return path, body | {"contents": body["contents"][:2]}, headers

    def second(self, turn: Turn, stream: str) -> Turn:
        content = joined_gemini(data(stream))["candidates"][0]["content"]
        (call,) = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        assert call["name"] == "list_directory"
        path, body, headers = turn
        call_id = call.get("id") or "list_directory-1763700000000-1a2b"
        answer = {"id": call_id, "name": call["name"], "response": {"output": "a.py"}}
        turns = [content, {"role": "user", "parts": [{"functionResponse": answer}]}]
        return path, body | {"contents": [*body["contents"], *turns]}, headers

    def end(self, stream: str) -> str:
        (candidate,) = joined_gemini(data(stream))["candidates"]
        assert candidate["finishReason"] == "STOP"
        parts = candidate["content"]["parts"]
        return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))


AGENTS: dict[str, Callable[[], Any]] = {"claude-code": ClaudeCode, "codex": Codex, "gemini-cli": GeminiCli}


async def send(sidecar: RunningSidecar, turn: Turn) -> str:
    path, body, headers = turn
    answer = await sidecar.post(path, body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return answer.text


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_two_turns(agent: str, provider: str) -> None:
    kind, type_, upstream = PROVIDERS[provider]
    more = {"azure": Azure(api_version="2024-10-21")} if kind == "azure" else {}
    async with ScriptedProvider(kind=kind, keys={"main": "sk-test"}) as scripted:
        built = build.built(scripted, type_=type_, models={"m": upstream}, **more)
        async with running_sidecar(build.push(built)) as sidecar:
            acting = AGENTS[agent]()
            first = acting.first()
            second = acting.second(first, await send(sidecar, first))
            assert acting.end(await send(sidecar, second))
        assert all(b"unused" not in request.body for request in scripted.requests)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_conversations_with_history_go_on_anywhere(provider: str) -> None:
    """The fixtures whole: thoughts and calls of another provider's are no obstacle."""
    kind, type_, upstream = PROVIDERS[provider]
    more = {"azure": Azure(api_version="2024-10-21")} if kind == "azure" else {}
    async with ScriptedProvider(kind=kind, keys={"main": "sk-test"}) as scripted:
        built = build.built(scripted, type_=type_, models={"m": upstream}, **more)
        async with running_sidecar(build.push(built)) as sidecar:
            for folder, name, acting in (
                ("messages_request", "claude-code", ClaudeCode()),
                ("responses_request", "codex", Codex()),
                ("gemini_request", "gemini-cli", GeminiCli()),
            ):
                path, _, headers = acting.first()
                body = fixture(folder, name)
                named = body if name == "gemini-cli" else body | {"model": "m"}
                assert await send(sidecar, (path, named, headers))
