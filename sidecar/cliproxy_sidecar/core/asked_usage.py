"""Whether we ask a chat stream for usage that its caller has not asked for, how, and what is not shown then.

Only for requests that pass as they are; translated ones always ask. What usage means is `usage`'s.

Asked for it, OpenAI sends one more chunk, without choices, and `"usage":null` in all others, which is what
callers' types allow anyway. Sources: OpenAI API reference, `stream_options` of chat completions; Azure OpenAI
REST reference: since the API of 2024-09-01-preview, not together with data sources (read 2026-11).
"""

from typing import Final

import msgspec

from cliproxy_api.snapshot import Provider
from cliproxy_api.vocabulary import ProviderType
from cliproxy_sidecar.core.dialect import CHAT, Operation
from cliproxy_sidecar.core.errorbody import JSON_FAULTS
from cliproxy_sidecar.core.sse import Event

_AZURE_SINCE: Final = "2024-09-01"
_ASKED: Final = b'"stream_options":{"include_usage":true},'
_OWN: Final = (b'"stream_options"', b'"data_sources"')
"""What makes a body worth a closer look before it is added to."""


class _Fields(msgspec.Struct):
    stream_options: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data_sources: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw] | None = None
    usage: dict[str, msgspec.Raw] | None = None


_FIELDS: Final = msgspec.json.Decoder(_Fields)
_CHUNK: Final = msgspec.json.Decoder(_Chunk)


def may_ask(provider: Provider, operation: Operation) -> bool:
    """Whether a provider's type promises that it takes the question.

    OpenAI-like servers do not: Mistral refuses the field, Groq tells usage without it.
    """
    if operation is not CHAT:
        return False
    if provider.type is ProviderType.AZURE_OPENAI:
        version = provider.azure.api_version if provider.azure else None
        return version is None or version >= _AZURE_SINCE
    return provider.type is ProviderType.OPENAI


def asking(body: bytes) -> bytes | None:
    """Return a streamed request's body with the question; None: it stays as it is.

    So does one that has stream options of its own, whatever they say, and one with data sources.
    """
    if any(body.find(own) >= 0 for own in _OWN):
        try:
            fields = _FIELDS.decode(body)
        except JSON_FAULTS:
            return None
        if fields.stream_options is not msgspec.UNSET or fields.data_sources is not msgspec.UNSET:
            return None
    start = body.find(b"{") + 1
    return b"%b%b%b" % (body[:start], _ASKED, body[start:])


def is_answer_to_us(event: Event) -> bool:
    """Whether a chunk holds nothing but the usage that the caller did not ask for."""
    data = event.data
    if data.find(b'"usage"') < 0 or data.find(b'"usage":null') >= 0:
        return False
    try:
        chunk = _CHUNK.decode(data)
    except JSON_FAULTS:
        return False
    return chunk.choices == [] and bool(chunk.usage)
