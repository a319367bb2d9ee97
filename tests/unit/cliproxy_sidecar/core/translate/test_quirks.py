"""Servers that are like OpenAI, but for something."""

import json
from typing import Any

import pytest

from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import MESSAGES, RESPONSES, STREAM_GENERATE, Form, Operation
from cliproxy_sidecar.core.translate.draft import Destination
from cliproxy_sidecar.core.translate.pairs import pair_for
from cliproxy_sidecar.core.translate.translation import Translation

ASKED: list[tuple[Operation, dict[str, Any]]] = [
    (
        MESSAGES,
        {"stream": True, "metadata": {"user_id": "ann"}, "messages": [{"role": "user", "content": "Hi"}]},
    ),
    (RESPONSES, {"stream": True, "input": "Hi"}),
    (STREAM_GENERATE, {"contents": [{"parts": [{"text": "Hi"}]}]}),
]


@pytest.mark.parametrize(("operation", "request_"), ASKED, ids=lambda one: getattr(one, "name", ""))
@pytest.mark.parametrize("host", ["https://api.mistral.ai/v1", "http://127.0.0.1:8000/v1"])
def test_mistral_is_sent_no_field_that_it_refuses(
    host: str, operation: Operation, request_: dict[str, Any]
) -> None:
    destination = Destination(ProviderType.OPENAI_COMPATIBLE, "mistral-large-latest", base_url=host)
    pair = pair_for(operation, Form.CHAT, stream=True)
    assert pair is not None
    body = json.dumps({"model": "m", **request_}).encode()
    made = Translation(pair, operation.dialect, body, destination, created_s=1)
    sent = json.loads(made.body)
    strict = "mistral" in host
    assert ("stream_options" in sent, "user" in sent) == (not strict, not strict and operation is MESSAGES)
    assert made.left_out == (("metadata.user_id",) if strict and operation is MESSAGES else ())
    assert sent["stream"] is True
