"""How much thinking is asked for, and whose thoughts go to whom."""

import json

import pytest

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.translate.draft import Destination
from cliproxy_sidecar.core.translate.reasoning import (
    FOREIGN,
    budget_of,
    effort_for,
    thinking_for,
    without_foreign_thoughts,
)


def claude(model: str) -> Destination:
    return Destination(ProviderType.ANTHROPIC, model)


@pytest.mark.parametrize(
    "model",
    [
        "claude-3-7-sonnet-20250219",
        "claude-sonnet-4-20250514",
        "claude-haiku-4-5",
        "anthropic.claude-opus-4.5-v1:0",
    ],
)
def test_claude_before_4_6_has_a_budget(model: str) -> None:
    assert thinking_for("low", claude(model), 9000) == {
        "thinking": {"type": "enabled", "budget_tokens": 2048}
    }
    assert thinking_for("high", claude(model), 9000) == {
        "thinking": {"type": "enabled", "budget_tokens": 8999}
    }
    assert thinking_for("high", claude(model), 1024) is None
    assert thinking_for("none", claude(model), 9000) == {"thinking": {"type": "disabled"}}


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-sonnet-5", "claude-opus-5-5-20260901"])
def test_claude_since_4_6_has_an_effort(model: str) -> None:
    fields = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
    assert thinking_for("minimal", claude(model), 10) == fields


@pytest.mark.parametrize(
    ("effort", "model"),
    [("low", "claude-3-5-sonnet-latest"), ("low", "an-alias"), ("brand_new", "claude-opus-4-6")],
)
def test_what_takes_no_effort_gets_none(effort: str, model: str) -> None:
    assert thinking_for(effort, claude(model), 9000) is None


def test_budgets_and_efforts_agree() -> None:
    for effort in ("low", "medium", "high"):
        enabled = {"type": "enabled", "budget_tokens": budget_of(effort)}
        assert effort_for(enabled, None, Destination(ProviderType.OPENAI, "gpt-5.5")) == effort
    assert budget_of("none") == budget_of("brand_new") == 0


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("o4-mini", True),
        ("gpt-5.5-pro", True),
        ("openai/gpt-oss-120b", True),
        ("gemini-3-pro", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4o", False),
        ("llama-3.3-70b", False),
        ("foo1", False),
    ],
)
def test_only_models_that_reason_get_an_effort(model: str, takes: bool) -> None:  # noqa: FBT001
    found = effort_for(None, {"effort": "high"}, Destination(ProviderType.OPENAI_COMPATIBLE, model))
    assert found == ("high" if takes else None)


def test_the_highest_efforts_are_words_of_openai_itself() -> None:
    assert effort_for(None, {"effort": "max"}, Destination(ProviderType.OPENAI, "gpt-6")) == "xhigh"
    assert effort_for(None, {"effort": "max"}, Destination(ProviderType.GEMINI, "gemini-3-pro")) == "high"
    assert effort_for(None, {"effort": "odd"}, Destination(ProviderType.OPENAI, "gpt-6")) is None
    assert effort_for({"type": "adaptive"}, {}, Destination(ProviderType.OPENAI, "gpt-6")) is None


def test_thoughts_of_others_are_taken_out_and_nothing_else() -> None:
    thought = {"type": "thinking", "thinking": "t", "signature": FOREIGN}
    own = {"type": "thinking", "thinking": "t", "signature": "c2ln"}
    said = {"type": "text", "text": "x"}
    request = {
        "model": "claude",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [thought, own, said]},
            {"role": "assistant", "content": [thought]},
            {"role": "user", "content": [said]},
        ],
    }
    kept = json.loads(without_foreign_thoughts(json.dumps(request).encode()))
    contents = [message["content"] for message in kept["messages"]]
    assert contents == ["Hi", [own, said], [said]]
    assert kept["model"] == "claude"


@pytest.mark.parametrize("body", [b'{"messages": [ ] }', b'{"x":"cliproxy-unsigned"}', b'"cliproxy-unsigned'])
def test_bodies_without_such_thoughts_pass_byte_for_byte(body: bytes) -> None:
    assert without_foreign_thoughts(body) is body
