"""What is read of an answer is what is there: parsed or searched, in pieces or whole, spoilt or not."""

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from cliproxy_sidecar.core.tracing.ends import KEPT_BYTES, MAX_REASONS, Ends
from cliproxy_sidecar.core.tracing.told import MAX_NAME_CHARS, MAX_PARSED_BYTES, Reader, Told

SECRET = b"sk-secret-1"
traps = st.sampled_from(
    [
        '"finish_reason":"lies"',
        '"id":"lies","model":"lies"',
        '\\"stop_reason\\":\\"lies\\"',
        "end\\",
        '{"incomplete_details":{"reason":"lies"}}',
        "hReason",
        '_reason":',
        "é\ud83d\ude00"[:1],
    ]
)
texts = st.lists(st.text(max_size=20) | traps, max_size=4).map("".join)
names = (
    st.sampled_from(["gpt-4o", "chatcmpl-1", "claude x", SECRET.decode(), "x" * 200, "ü", 'a"b', ""]) | texts
)
reasons = st.sampled_from(["stop", "length", "tool_calls", "STOP", "x" * 41, "no word", "", None])
numbers = st.integers(-(10**30), 10**30) | st.just(10**400) | st.floats(allow_nan=False, allow_infinity=False)
tools = st.fixed_dictionaries({"id": names, "function": st.fixed_dictionaries({"arguments": texts})})
messages = st.fixed_dictionaries(
    {"content": texts | st.none()},
    optional={"tool_calls": st.lists(tools, max_size=2), "model": names, "finish_reason": reasons},
)
choices = st.fixed_dictionaries({"message": messages}, optional={"finish_reason": reasons, "index": numbers})
candidates = st.fixed_dictionaries({"content": messages}, optional={"finishReason": reasons})
answers = st.fixed_dictionaries(
    {},
    optional={
        "id": names | st.none(),
        "model": names | st.none(),
        "responseId": names,
        "modelVersion": names,
        "choices": st.lists(choices, max_size=4) | st.none(),
        "candidates": st.lists(candidates, max_size=3),
        "stop_reason": reasons,
        "incomplete_details": st.none() | st.fixed_dictionaries({}, optional={"reason": reasons}),
        "created": numbers,
        "output": st.lists(messages, max_size=2),
        "usage": st.dictionaries(st.sampled_from(["total_tokens", "id", "model"]), numbers),
    },
)
spacing = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:  ")])


def searched(*chunks: bytes) -> Told:
    ends = Ends()
    for chunk in chunks:
        ends.take(chunk)
    return Reader((SECRET,)).by_ends(ends)


def clean(text: str | None) -> str:
    good = text and len(text) <= MAX_NAME_CHARS and text.isascii() and text.isprintable()
    return text if text and good and SECRET.decode() not in text else ""


def there(answer: dict[str, Any]) -> Told:
    """As the document says it, read by the standard library."""
    if answer.get("choices"):
        ended = [choice.get("finish_reason") for choice in answer["choices"]]
    elif answer.get("candidates"):
        ended = [candidate.get("finishReason") for candidate in answer["candidates"]]
    else:
        ended = [answer.get("stop_reason") or (answer.get("incomplete_details") or {}).get("reason")]
    words = [word for word in dict.fromkeys(ended) if word and len(word) <= 40 and " " not in word]
    return Told(
        clean(answer.get("model") or answer.get("modelVersion")),
        clean(answer.get("id") or answer.get("responseId")),
        tuple(words[:MAX_REASONS]),
    )


@given(answers, st.randoms(use_true_random=False), spacing)
def test_a_whole_answer_is_read_as_json_says(
    answer: dict[str, Any], chance: Any, separators: tuple[str, str]
) -> None:
    keys = list(answer)
    chance.shuffle(keys)
    mixed = {key: answer[key] for key in keys}
    raw = json.dumps(mixed, separators=separators, ensure_ascii=chance.random() < 0.5).encode(
        "utf-8", "replace"
    )
    assume(len(raw) <= MAX_PARSED_BYTES)
    assert Reader((SECRET,)).whole(raw) == there(json.loads(raw))


@given(texts, reasons, spacing, st.integers(1, 300))
def test_a_search_finds_what_parsing_finds(
    text: str, reason: str | None, separators: tuple[str, str], piece: int
) -> None:
    message = {"content": text, "tool_calls": [{"id": "call_1", "function": {"arguments": text}}]}
    answer = {"id": "chatcmpl-1", "model": "gpt-4o", "system_fingerprint": text}
    answer["choices"] = [{"message": message, "finish_reason": reason}]  # type: ignore[assignment]
    raw = json.dumps(answer, separators=separators).encode()
    assume(len(raw) <= KEPT_BYTES)
    parsed = Reader((SECRET,)).whole(raw)
    assert parsed == there(answer)
    assert searched(raw) == parsed
    assert searched(*(raw[at : at + piece] for at in range(0, len(raw), piece))) == parsed


@given(
    st.lists(answers, min_size=1, max_size=4),
    st.lists(st.integers(0, 2**16), max_size=3),
    st.binary(max_size=3),
)
def test_whatever_comes_nothing_is_raised_or_made_up(
    documents: list[dict[str, Any]], places: list[int], junk: bytes
) -> None:
    remembering = Reader((SECRET,))
    for document in documents:
        raw = json.dumps(document).encode("utf-8", "replace")
        for place in places:
            at = place % len(raw)
            raw = raw[:at] + junk + (raw[at + 1 :] if junk else b"")
            raw = raw or b"{"
        told = remembering.whole(raw)
        assert told == Reader((SECRET,)).whole(raw), "what was seen before changes nothing"
        for text in (told.model, told.response_id):
            assert text == clean(text)
        assert len(told.reasons) <= MAX_REASONS
        assert all(reason.replace("_", "").isalpha() and len(reason) <= 40 for reason in told.reasons)
        searched(raw)


@given(st.binary(max_size=200))
def test_any_bytes_may_come(raw: bytes) -> None:
    assert Reader().whole(raw) == Reader().whole(raw)
    searched(raw)
