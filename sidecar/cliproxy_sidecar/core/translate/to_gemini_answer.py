"""A chat completion as an answer of Gemini's own API; Anthropic's goes by way of it.

Reasoning that a server shows becomes a part marked as thought; a refusal becomes text that ends by the
filter. Sources: OpenAI API reference, chat completion object; Gemini API reference, GenerateContentResponse
(read 2026-11).
"""

from cliproxy_sidecar.core.translate.fields import Object, TranslationError, inner, mapping, objects, text
from cliproxy_sidecar.core.translate.gemini_words import (
    SKIP_SIGNATURE,
    reason_of,
    signature_of_call,
    usage_to_gemini,
)
from cliproxy_sidecar.core.translate.to_messages_answer import reasoning_of, said_in
from cliproxy_sidecar.core.translate.tools import input_of


def answer_to_gemini(answer: Object) -> Object:
    """Return Gemini's answer.

    Raises:
        TranslationError: it is no completion.

    """
    choices = objects(answer.get("choices"), "choices")
    if not choices:
        raise TranslationError("choices", "is empty")
    return {
        "candidates": [_candidate(choice, field, place) for place, (field, choice) in enumerate(choices)],
        "usageMetadata": usage_to_gemini(answer.get("usage")),
        "modelVersion": text(answer.get("model"), "model"),
        "responseId": text(answer.get("id"), "id"),
    }


def call_part(call: Object, signature: str, field: str, *, first: bool) -> Object:
    """Return the part for a call (id, name, arguments).

    Arguments that are no JSON object travel as `input_of` says. The first of parallel calls carries a
    signature, so that Gemini takes the conversation over should its next turn go there.
    """
    signature = signature or (SKIP_SIGNATURE if first else "")
    called = {
        "id": text(call.get("id"), f"{field}.id"),
        "name": text(call.get("name"), f"{field}.function.name"),
        "args": input_of(call.get("arguments") or "", f"{field}.function.arguments"),
    }
    return {"functionCall": called} | ({"thoughtSignature": signature} if signature else {})


def logprobs_to_gemini(logprobs: object) -> Object | None:
    """Return the probabilities of tokens, None without any."""
    content = inner(logprobs, "content")
    if not isinstance(content, list) or not content:
        return None
    tokens = [token for _, token in objects(content, "logprobs.content")]
    tops = [token.get("top_logprobs") for token in tokens]
    found: Object = {"chosenCandidates": [_token(token) for token in tokens]}
    if any(tops):
        listed = [objects([] if top is None else top, "top_logprobs") for top in tops]
        found["topCandidates"] = [{"candidates": [_token(one) for _, one in top]} for top in listed]
    return found


def _token(token: Object) -> Object:
    return {"token": token.get("token"), "logProbability": token.get("logprob")}


def _candidate(choice: Object, field: str, place: int) -> Object:
    message = choice.get("message")
    name = f"{field}.message"
    said_by = message if isinstance(message, dict) else {}
    parts: list[Object] = []
    thought = reasoning_of(said_by)
    if thought:
        parts.append({"text": thought, "thought": True})
    refusal = said_by.get("refusal")
    refused = isinstance(refusal, str) and bool(refusal)
    said = said_in(said_by.get("content"), f"{name}.content") + (str(refusal) if refused else "")
    if said:
        parts.append({"text": said})
    given = said_by.get("tool_calls")
    calls = objects([] if given is None else given, f"{name}.tool_calls")
    for number, (where, call) in enumerate(calls):
        called = {**mapping(call.get("function"), f"{where}.function"), "id": call.get("id")}
        parts.append(call_part(called, signature_of_call(call), where, first=number == 0))
    index = choice.get("index")
    found: Object = {
        "content": {"parts": parts, "role": "model"},
        "finishReason": "SAFETY" if refused else reason_of(choice.get("finish_reason")),
        "index": index if isinstance(index, int) else place,
    }
    logprobs = logprobs_to_gemini(choice.get("logprobs"))
    return found if logprobs is None else found | {"logprobsResult": logprobs}
