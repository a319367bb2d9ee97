import json

import pytest

from cliproxy_api.vocabulary import Affinity
from cliproxy_sidecar.core.facts import MAX_PREFIX_BYTES, Needs, facts_of
from cliproxy_sidecar.core.strategies.base import Facts

SESSION, PREFIX = Needs(Affinity.SESSION), Needs(Affinity.PREFIX)


def facts(needs: Needs, fields: object, *headers: tuple[bytes, bytes]) -> Facts:
    return facts_of(json.dumps(fields).encode(), headers, needs, stream=False)


def key(needs: Needs, fields: object, *headers: tuple[bytes, bytes]) -> int | None:
    return facts(needs, fields, *headers).key


def chat(*contents: str, system: str = "Be brief.") -> dict[str, object]:
    turns = [{"role": "user", "content": content} for content in contents]
    return {"model": "m", "messages": [{"role": "system", "content": system}, *turns]}


def test_a_header_names_the_session_before_any_field() -> None:
    by_header = key(SESSION, {"user": "u"}, (b"x-session-id", b"s1"))
    assert by_header == key(SESSION, {"user": "other"}, (b"x-cliproxy-session", b"s1"))
    assert by_header == key(SESSION, {}, (b"session_id", b"s1"))
    assert by_header != key(SESSION, {"user": "u"}, (b"x-session-id", b"s2"))
    assert by_header == key(SESSION, {}, (b"x-session-id", b"s1"), (b"x-cliproxy-session", b"s9"))


def test_fields_name_the_session_the_most_precise_first() -> None:
    fields = {"prompt_cache_key": "k", "metadata": {"user_id": "m"}, "user": "u"}
    assert key(SESSION, fields) == key(SESSION, {"user": "k"})
    del fields["prompt_cache_key"]
    assert key(SESSION, fields) == key(SESSION, {"user": "m"})
    del fields["metadata"]
    assert key(SESSION, fields) == key(SESSION, {"metadata": {"user_id": "u"}})


@pytest.mark.parametrize("fields", [{}, {"user": 7, "metadata": "x"}, {"metadata": {"user_id": None}}, []])
def test_whoever_names_no_session_has_none(fields: object) -> None:
    assert key(SESSION, fields) is None


def test_the_same_beginning_is_the_same_prefix() -> None:
    assert key(PREFIX, chat("hello")) == key(PREFIX, chat("hello", "and then", "more"))
    assert key(PREFIX, chat("hello")) != key(PREFIX, chat("good bye"))
    assert key(PREFIX, chat("hello")) != key(PREFIX, chat("hello", system="Be long."))


def test_every_format_has_its_prefix() -> None:
    anthropic = {"system": [{"type": "text", "text": "s"}], "messages": [{"role": "user", "content": "a"}]}
    responses = {"instructions": "s", "input": [{"role": "user", "content": "a"}]}
    said = {"parts": [{"text": "a"}]}
    gemini = {"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [{"role": "user", **said}]}
    all_of_them = (anthropic, responses, gemini, {"prompt": "p"}, {"input": "i"})
    keys = {key(PREFIX, fields) for fields in all_of_them}
    assert None not in keys
    assert len(keys) == 5
    longer = {**gemini, "contents": [*gemini["contents"], {"role": "model", **said}]}
    assert key(PREFIX, gemini) == key(PREFIX, longer)
    assert key(PREFIX, {"model": "m"}) is None


def test_only_the_beginning_of_what_is_long_counts() -> None:
    long = "x" * (2 * MAX_PREFIX_BYTES)
    assert key(PREFIX, chat(long + "a")) == key(PREFIX, chat(long + "b"))


def test_bounds_are_read_where_they_matter() -> None:
    needs = Needs(bounds=True)
    assert facts(needs, {"max_tokens": 50, "max_completion_tokens": 40}).max_output_tokens == 40
    assert facts(needs, {"max_output_tokens": 7}).max_output_tokens == 7
    assert facts(needs, {"generationConfig": {"maxOutputTokens": 6}}).max_output_tokens == 6
    assert facts(needs, {"generationConfig": 3}).max_output_tokens is None
    for odd in (True, -3, "9", None, 1.5):
        assert facts(needs, {"max_tokens": odd}).max_output_tokens is None
    assert facts(Needs(), {"max_tokens": 50}) == Facts(body_bytes=18)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"messages": 3}', b"[" * 5000])
def test_odd_bodies_have_no_key(body: bytes) -> None:
    for needs in (SESSION, PREFIX, Needs(Affinity.PREFIX, bounds=True)):
        assert facts_of(body, (), needs, stream=True) == Facts(body_bytes=len(body), stream=True)
