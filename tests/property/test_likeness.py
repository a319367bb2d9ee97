"""What passes by its likeness is one event of content, whatever its text and whatever came before."""

import json

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.dialect import Dialect
from cliproxy_sidecar.core.likeness import PlainChunks
from cliproxy_sidecar.core.outcome import classify_end
from cliproxy_sidecar.core.sse import SSEParser
from cliproxy_sidecar.core.stream import ContentKind, content_kind, plain_events

texts = st.text(max_size=6) | st.sampled_from(["\\", '"', "\n", 'a","b":"', "error", "[DONE]", "a\\", "\r"])
ends = st.sampled_from([None, None, None, "stop", "content_filter"])


def event(text: str, end: str | None, usage: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": end}
    data = {"id": "c", "choices": [choice], "usage": usage}
    return b"data: " + json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"


events = st.builds(event, texts, ends, st.sampled_from([None, None, {"prompt_tokens": 1}]))
framed = st.builds(
    lambda before, text, after: before + text + after,
    st.just(event("|", None, None).partition(b"|")[0]),
    st.binary(max_size=8) | st.sampled_from([b"\\", b'"', b'","x":"', b"\n\ndata: {}\n\ndata: ", b"a\r"]),
    st.just(event("|", None, None).partition(b"|")[2]),
)
chunks = events | framed | st.builds(bytes.__add__, events, events) | st.binary(max_size=9)


@given(st.lists(chunks, max_size=8))
def test_likeness_finds_only_content(stream: list[bytes]) -> None:
    plain = PlainChunks()
    plain.count(event("first", None, None))
    for chunk in stream:
        count = plain.count(chunk)
        if count == plain_events(chunk):
            continue
        assert count == 1
        (read,) = SSEParser().feed(chunk)
        assert read.raw == chunk
        assert content_kind(Dialect.OPENAI, read) is ContentKind.CONTENT
        try:
            told = json.loads(read.data)
        except ValueError:
            continue  # What no JSON reader can read is passed on as it is, here and there.
        assert told["usage"] is None
        assert told["choices"][0]["finish_reason"] is None
        assert classify_end(read.data).cls.value == "Success"


def test_words_that_mean_something_may_be_said() -> None:
    plain = PlainChunks()
    assert plain.count(event("one", None, None)) == 1
    for text in ("an error", "[DONE]", "message_stop", 'response."'):
        assert plain.count(event(text, None, None)) == (0 if '"' in text else 1)
    assert plain.count(event("two", "stop", None)) == 0
    assert plain.count(event("two", None, {"prompt_tokens": 1})) == 0
