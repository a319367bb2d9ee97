"""Answers of OpenAI-like servers that leave something out are made whole."""

from typing import Any

from cliproxy_sidecar.core.translate.completing import CompletedSteps, completed

REQUEST = {"model": "asked-for"}


class Collected:
    """Steps that pass everything on."""

    def feed(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        return [event]

    def finish(self) -> list[dict[str, Any]]:
        return [{"end": True}]


def call(call_id: str | None, name: str | None, arguments: object, **more: object) -> dict[str, Any]:
    return {"id": call_id, "function": {"name": name, "arguments": arguments}, **more}


def calls_of(answer: dict[str, Any], part: str = "message") -> list[tuple[object, object]]:
    (choice,) = answer["choices"]
    return [(one.get("id"), one["function"]["arguments"]) for one in choice[part]["tool_calls"]]


def test_a_whole_answer_gets_id_model_and_ids_of_calls() -> None:
    given = [
        call(None, "f", "{}"),
        call("", "g", {"a": "\u00e9"}),
        call("own", "h", ""),
        "odd",
        {"function": 7},
    ]
    answer = completed({"choices": [{"message": {"tool_calls": given[:3]}}]}, REQUEST, 5)
    assert (answer["id"], answer["model"]) == ("chatcmpl-5", "asked-for")
    assert calls_of(answer) == [
        ("call_chatcmpl-5_0", "{}"),
        ("call_chatcmpl-5_1", '{"a":"\u00e9"}'),
        ("own", ""),
    ]


def test_what_is_there_stays_and_what_is_odd_is_left_to_others() -> None:
    whole = {"id": "a", "model": "m", "choices": [{"message": {"tool_calls": [call("x", "f", "{}")]}}]}
    assert completed(whole, REQUEST, 5)["id"] == "a"
    assert calls_of(whole) == [("x", "{}")]
    for choices in (
        None,
        7,
        [None],
        [{"message": None}],
        [{"message": {"tool_calls": [3, {"function": 7}]}}],
    ):
        assert completed({"id": "a", "choices": choices}, {}, 5) == {
            "id": "a",
            "model": "",
            "choices": choices,
        }


def test_a_streams_calls_get_one_id_each() -> None:
    steps = CompletedSteps(Collected(), REQUEST, 5)
    pieces = [
        [call(None, "f", "", index=0)],
        [call(None, None, "{}", index=0)],
        [call("", "g", "{", index=1), call("", "g", "}", index=1)],
        [call("own", "h", {"a": 1}, index=2)],
        [call(None, "i", "{}")],
        [call(None, "j", "{}")],
    ]
    got = []
    for piece in pieces:
        (chunk,) = steps.feed({"id": None, "choices": [{"index": 0, "delta": {"tool_calls": piece}}]})
        assert (chunk["id"], chunk["model"]) == ("chatcmpl-5", "asked-for")
        got += calls_of(chunk, "delta")
    made = "call_chatcmpl-5_"
    assert got == [
        *((f"{made}0", ""), (None, "{}"), (f"{made}1", "{"), ("", "}")),
        *(("own", '{"a":1}'), (f"{made}3", "{}"), (f"{made}4", "{}")),
    ]
    assert steps.finish() == [{"end": True}]
