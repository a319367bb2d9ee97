"""Which operations go to providers of which form in another format, and by which translators.

Chat is the hub: every pair is one of chat's own, or composed of two. How a pair is used is `translation`'s.
"""

from functools import partial
from typing import Final

from cliproxy_sidecar.core.dialect import (
    BATCH_EMBED,
    CHAT,
    COUNT_TOKENS,
    EMBED,
    EMBEDDINGS,
    GEMINI_COUNT,
    GENERATE,
    GENERATE_LIST,
    MESSAGES,
    RESPONSES,
    STREAM_GENERATE,
    Form,
    Operation,
)
from cliproxy_sidecar.core.translate.completing import CompletedSteps, completed
from cliproxy_sidecar.core.translate.counts import (
    count_from_gemini,
    count_to_callers_of_gemini,
    count_to_gemini,
    gemini_to_count,
)
from cliproxy_sidecar.core.translate.embeddings import (
    batch_from_gemini,
    batch_to_gemini,
    embed_from_gemini,
    embed_to_gemini,
    embeddings_from_gemini,
    embeddings_to_gemini,
)
from cliproxy_sidecar.core.translate.fields import Object, inner
from cliproxy_sidecar.core.translate.from_gemini_answer import answer_from_gemini
from cliproxy_sidecar.core.translate.from_gemini_request import gemini_to_messages, request_from_gemini
from cliproxy_sidecar.core.translate.from_gemini_stream import FromGeminiStream
from cliproxy_sidecar.core.translate.responses_answer import message_to_response
from cliproxy_sidecar.core.translate.responses_request import responses_to_chat, responses_to_messages
from cliproxy_sidecar.core.translate.responses_stream import ResponsesStream
from cliproxy_sidecar.core.translate.to_chat_answer import answer_to_chat
from cliproxy_sidecar.core.translate.to_chat_request import request_to_chat
from cliproxy_sidecar.core.translate.to_chat_stream import ChatStream
from cliproxy_sidecar.core.translate.to_gemini_answer import answer_to_gemini
from cliproxy_sidecar.core.translate.to_gemini_request import (
    messages_to_gemini,
    request_to_gemini,
    responses_to_gemini,
)
from cliproxy_sidecar.core.translate.to_gemini_stream import GeminiStream
from cliproxy_sidecar.core.translate.to_messages_answer import answer_to_messages
from cliproxy_sidecar.core.translate.to_messages_request import request_to_messages
from cliproxy_sidecar.core.translate.to_messages_stream import MessagesStream
from cliproxy_sidecar.core.translate.translation import Answering, Pair, Requesting, Stepping, Steps


class _Chain:
    """Two directions, one after the other."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Steps, second: Steps) -> None:
        self._first = first
        self._second = second

    def feed(self, event: Object) -> list[Object]:
        return self._on(self._first.feed(event))

    def finish(self) -> list[Object]:
        return self._on(self._first.finish()) + self._second.finish()

    def _on(self, events: list[Object]) -> list[Object]:
        return [found for event in events for found in self._second.feed(event)]


class _Nothing:
    """Steps of what is never streamed."""

    def feed(self, _: Object) -> list[Object]:
        return []

    def finish(self) -> list[Object]:
        return []


def _no_steps(_: Object, __: int) -> Steps:
    return _Nothing()


def _wants_usage(request: Object) -> bool:
    return inner(request, "stream_options", "include_usage") is True


# -------------------------------------------------------------- answers of Anthropic
def _message_as_chat(answer: Object, _: Object, created_s: int) -> Object:
    return answer_to_chat(answer, created_s=created_s)


def _message_as_response(answer: Object, request: Object, created_s: int) -> Object:
    return message_to_response(answer, request, created_s=created_s)


def _message_as_gemini(answer: Object, _: Object, created_s: int) -> Object:
    return answer_to_gemini(answer_to_chat(answer, created_s=created_s))


def _messages_as_gemini(_: Object, created_s: int) -> Steps:
    return _Chain(ChatStream(created_s=created_s, include_usage=True), GeminiStream())


# ------------------------------------------------------------ answers of OpenAI's chat
def _chat_as_message(answer: Object, request: Object, created_s: int) -> Object:
    return answer_to_messages(completed(answer, request, created_s))


def _chat_as_response(answer: Object, request: Object, created_s: int) -> Object:
    message = _chat_as_message(answer, request, created_s)
    return message_to_response(message, request, created_s=created_s)


def _chat_as_gemini(answer: Object, request: Object, created_s: int) -> Object:
    return answer_to_gemini(completed(answer, request, created_s))


def _chats_as_messages(request: Object, created_s: int) -> Steps:
    return CompletedSteps(MessagesStream(), request, created_s)


def _chats_as_responses(request: Object, created_s: int) -> Steps:
    return _Chain(_chats_as_messages(request, created_s), ResponsesStream(request, created_s=created_s))


def _chats_as_geminis(request: Object, created_s: int) -> Steps:
    return CompletedSteps(GeminiStream(), request, created_s)


# ------------------------------------------------------------------ answers of Gemini
def _gemini_as_chat(answer: Object, request: Object, created_s: int) -> Object:
    return answer_from_gemini(answer, request, created_s=created_s)


def _gemini_as_message(answer: Object, request: Object, created_s: int) -> Object:
    return answer_to_messages(answer_from_gemini(answer, request, created_s=created_s))


def _gemini_as_response(answer: Object, request: Object, created_s: int) -> Object:
    return _chat_as_response(answer_from_gemini(answer, request, created_s=created_s), request, created_s)


def _geminis_as_chat(request: Object, created_s: int) -> Steps:
    return FromGeminiStream(request, created_s=created_s, include_usage=_wants_usage(request))


def _geminis_as_messages(request: Object, created_s: int) -> Steps:
    return _Chain(FromGeminiStream(request, created_s=created_s, include_usage=True), MessagesStream())


def _geminis_as_responses(request: Object, created_s: int) -> Steps:
    return _Chain(_geminis_as_messages(request, created_s), ResponsesStream(request, created_s=created_s))


# ------------------------------------------------------------------------------ pairs
def _listed(answer: Answering) -> Answering:
    """Wrap a whole answer as the only chunk of a list."""

    def wrapped(given: Object, request: Object, created_s: int) -> object:
        return [answer(given, request, created_s)]

    return wrapped


_CHAT_TO_MESSAGES: Final = Pair(
    MESSAGES,
    request_to_messages,
    _message_as_chat,
    lambda request, created_s: ChatStream(created_s=created_s, include_usage=_wants_usage(request)),
)
_MESSAGES_TO_CHAT: Final = Pair(CHAT, request_to_chat, _chat_as_message, _chats_as_messages)
_RESPONSES_TO_MESSAGES: Final = Pair(
    MESSAGES,
    responses_to_messages,
    _message_as_response,
    lambda request, created_s: ResponsesStream(request, created_s=created_s),
)
_RESPONSES_TO_CHAT: Final = Pair(CHAT, responses_to_chat, _chat_as_response, _chats_as_responses)

_PAIRS: Final[dict[tuple[Operation, Form, bool], Pair]] = {}


def _add(operation: Operation, *forms: Form, pair: Pair) -> None:
    for form in forms:
        _PAIRS[operation, form, False] = _PAIRS[operation, form, True] = pair


def _add_at_gemini(operation: Operation, request: Requesting, answer: Answering, steps: Stepping) -> None:
    """A stream is another operation there."""
    _PAIRS[operation, Form.GEMINI, False] = Pair(GENERATE, request, answer, steps)
    _PAIRS[operation, Form.GEMINI, True] = Pair(STREAM_GENERATE, request, answer, steps)


def _fill() -> None:
    _add(CHAT, Form.ANTHROPIC, pair=_CHAT_TO_MESSAGES)
    _add(MESSAGES, Form.OPENAI, Form.CHAT, pair=_MESSAGES_TO_CHAT)
    _add(RESPONSES, Form.ANTHROPIC, pair=_RESPONSES_TO_MESSAGES)
    _add(RESPONSES, Form.CHAT, pair=_RESPONSES_TO_CHAT)
    _add_at_gemini(CHAT, request_to_gemini, _gemini_as_chat, _geminis_as_chat)
    _add_at_gemini(MESSAGES, messages_to_gemini, _gemini_as_message, _geminis_as_messages)
    _add_at_gemini(RESPONSES, responses_to_gemini, _gemini_as_response, _geminis_as_responses)
    for operation, stream in ((GENERATE, False), (STREAM_GENERATE, True), (GENERATE_LIST, False)):
        wrap = _listed if operation is GENERATE_LIST else lambda answer: answer
        chat = partial(request_from_gemini, stream=stream)
        messages = partial(gemini_to_messages, stream=stream)
        at_chat = Pair(CHAT, chat, wrap(_chat_as_gemini), _chats_as_geminis)
        at_anthropic = Pair(MESSAGES, messages, wrap(_message_as_gemini), _messages_as_gemini)
        _add(operation, Form.OPENAI, Form.CHAT, pair=at_chat)
        _add(operation, Form.ANTHROPIC, pair=at_anthropic)


def _fill_the_rest() -> None:
    """What is never streamed."""
    counting = Pair(GEMINI_COUNT, count_to_gemini, lambda answer, _, __: count_from_gemini(answer), _no_steps)
    _add(COUNT_TOKENS, Form.GEMINI, pair=counting)
    counted = Pair(
        COUNT_TOKENS, gemini_to_count, lambda answer, _, __: count_to_callers_of_gemini(answer), _no_steps
    )
    _add(GEMINI_COUNT, Form.ANTHROPIC, pair=counted)
    vectors = Pair(
        BATCH_EMBED,
        embeddings_to_gemini,
        lambda answer, request, _: embeddings_from_gemini(answer, request),
        _no_steps,
    )
    _add(EMBEDDINGS, Form.GEMINI, pair=vectors)
    one = Pair(EMBEDDINGS, embed_from_gemini, lambda answer, _, __: embed_to_gemini(answer), _no_steps)
    many = Pair(EMBEDDINGS, batch_from_gemini, lambda answer, _, __: batch_to_gemini(answer), _no_steps)
    _add(EMBED, Form.OPENAI, Form.CHAT, pair=one)
    _add(BATCH_EMBED, Form.OPENAI, Form.CHAT, pair=many)


_fill()
_fill_the_rest()


def pair_for(operation: Operation, form: Form, *, stream: bool) -> Pair | None:
    """Return how an operation is put to providers of this form; None: as it is, or not at all."""
    return _PAIRS.get((operation, form, stream))
