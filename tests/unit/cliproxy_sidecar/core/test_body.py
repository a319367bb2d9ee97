"""A look at a request body, and one value changed in it."""

import json

import pytest

from cliproxy_sidecar.core import body as body_module
from cliproxy_sidecar.core.body import BodyError, Peek, RepeatedKeysError, peek, peek_named, with_model


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"m"}', Peek("m", stream=False)),
        (b'{"model":"m","stream":true}', Peek("m", stream=True)),
        (b'{"model":"m","stream":false}', Peek("m", stream=False)),
        (b'{"model":"m","stream":null}', Peek("m", stream=False)),
        (b' {"messages":[{"model":"x"}],"model":"m"} ', Peek("m", stream=False)),
        (b'{"mod\\u0065l":"m\\u002f1"}', Peek("m/1", stream=False)),
        (b'{"model":"a","model":"b"}', Peek("b", stream=False)),
        ('{"model":"\u6a21\u578b"}'.encode(), Peek("\u6a21\u578b", stream=False)),
    ],
)
def test_what_routing_needs(body: bytes, expected: Peek) -> None:
    assert peek(body) == expected


@pytest.mark.parametrize(
    ("body", "words", "param"),
    [
        (b"", "empty", None),
        (b" \n", "empty", None),
        (b"{", "not valid JSON", None),
        (b'{"model":"m"} x', "not valid JSON", None),
        (b'{"model":"m",}', "not valid JSON", None),
        (b"[]", "must be a JSON object", None),
        (b'"model"', "must be a JSON object", None),
        (b"null", "must be a JSON object", None),
        (b"{}", "`model` is missing", "model"),
        (b'{"model":""}', "`model` is empty", "model"),
        (b'{"model":null}', "`model` must be a string", "model"),
        (b'{"model":7}', "`model` must be a string", "model"),
        (b'{"model":["m"]}', "`model` must be a string", "model"),
        (b'{"model":"%s"}' % (b"m" * 257), "`model` is too long: 257", "model"),
        (b'{"model":"m","stream":"yes"}', "`stream` must be true or false", "stream"),
        (b'{"model":"m","stream":1}', "`stream` must be true or false", "stream"),
        (b'{"model":"\xff"}', "not UTF-8", None),
        (b'{"a":' + b"[" * 20_000, "nested too deeply", None),
        (b"\xff\xfe\x00", "not valid JSON", None),
    ],
)
def test_faults_are_named_in_words(body: bytes, words: str, param: str | None) -> None:
    error = peek(body)
    assert isinstance(error, BodyError)
    assert words in error.message
    assert error.param == param


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"old"}', b'{"model":"new"}'),
        (b'{ "a" : 1 ,\r\n\t"model" : "old" , "b":[] }', b'{ "a" : 1 ,\r\n\t"model" : "new" , "b":[] }'),
        (b'{"messages":[{"content":"\\"model\\": \\"old\\""}],"model":"old"}', None),
        (b'{"tools":[{"model":"old"}],"model":"old"}', b'{"tools":[{"model":"old"}],"model":"new"}'),
        (b'{"model":"old","metadata":{"model":"old"}}', b'{"model":"new","metadata":{"model":"old"}}'),
        (b'{"user":"model","model":"old"}', b'{"user":"model","model":"new"}'),
        (b'{"mod\\u0065l":"old"}', b'{"mod\\u0065l":"new"}'),
        (b'{"x":{"model":"old"},"mod\\u0065l":"old"}', b'{"x":{"model":"old"},"mod\\u0065l":"new"}'),
        (b'{"model":"o\\u006cd"}', b'{"model":"new"}'),
        (b'{"model":"old","model":"old"}', b'{"model":"new","model":"new"}'),
        (b'{"model":"other","a":"}","model" :\n"old" }', b'{"model":"new","a":"}","model" :\n"new" }'),
        (b'{"a":1,"a":[2,{"model":"old"}],"model":"old"}', b'{"a":1,"a":[2,{"model":"old"}],"model":"new"}'),
        (b'{"a":12,"model":"old","a":1}', b'{"a":12,"model":"new","a":1}'),
        (b'{"a":12,"model":"old","a":1,"b":{"model":2}}', b'{"a":12,"model":"new","a":1,"b":{"model":2}}'),
        (b'{"a":1 ,"model":{"b":"]"} ,"model":"old"}', b'{"a":1 ,"model":"new" ,"model":"new"}'),
        (b'{"\xff":1,"x":{"model":2},"model":"old"}', b'{"\xff":1,"x":{"model":2},"model":"new"}'),
        (b'{"a":"\xff","x":{"model":2},"model":"old"}', b'{"a":"\xff","x":{"model":2},"model":"new"}'),
        (b'{"x":{"model":1}}', b'{"x":{"model":1}}'),
        (b"{}", b"{}"),
    ],
)
def test_only_the_top_level_model_changes(body: bytes, expected: bytes | None) -> None:
    if expected is None:
        expected = body[: -len(b'old"}')] + b'new"}'
    assert with_model(body, "old", "new") == expected


@pytest.mark.parametrize(
    "body", [b'{"model":"same"}', b'{"x":{"model":1},"model":"same"}', b'{"model":"other","model":"same"}']
)
def test_a_model_that_is_called_the_same_stays(body: bytes) -> None:
    changed = with_model(body, "same", "same")
    assert changed == body.replace(b"other", b"same")


@pytest.mark.parametrize("body", [b"", b"{", b'{"model":"a","model"', b'{"model":1,"model":[2', b"\xff"])
def test_what_no_peek_let_pass_does_no_harm(body: bytes) -> None:
    assert with_model(body, "old", "new").startswith(body[:1])


@pytest.mark.parametrize("name", ['quote"d', "back\\slash", "\u6a21\u578b", "org/model:free", "new\nline"])
def test_any_name_can_be_written(name: str) -> None:
    changed = with_model(b'{"model":"old","n":1}', "old", name)
    assert json.loads(changed) == {"model": name, "n": 1}
    assert json.loads(with_model(changed, name, "old")) == {"model": "old", "n": 1}


def test_a_large_body_that_repeats_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"model":"a","model":"b","a":"' + b"x" * 100 + b'"}'
    monkeypatch.setattr(body_module, "MAX_REPEATED_BYTES", 100)
    with pytest.raises(RepeatedKeysError):
        with_model(body, "b", "new")


def test_a_large_body_with_nested_models_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "MAX_REPEATED_BYTES", 10)
    assert with_model(b'{"x":{"model":1},"model":"old"}', "old", "new") == b'{"x":{"model":1},"model":"new"}'


def test_a_body_whose_model_stands_in_the_path_need_only_be_an_object() -> None:
    assert peek_named(b'{"contents":[]}', "m", stream=True) == Peek("m", stream=True)
    for body in (b"", b"[]", b"{", b"\xff", b"[" * 5000):
        assert isinstance(peek_named(body, "m", stream=False), BodyError)
    assert isinstance(peek_named(b"{}", "m" * 300, stream=False), BodyError)
