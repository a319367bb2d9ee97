"""Read the recorded signals into typed values, refusing what is malformed.

Leaves their use to `presets.py` (replaying) and to the tests of the sidecar's outcome table (judging).
"""

from functools import cache
from importlib import resources
from typing import Literal

import msgspec

OutcomeClass = Literal[
    "Success",
    "RateLimited",
    "Ramp",
    "QuotaLong",
    "QuotaMoney",
    "Overloaded",
    "ServerError",
    "Auth",
    "Config",
    "Context",
    "TooBig",
    "Filter",
    "Client",
    "StreamError",
    "Cancelled",
]


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the classifier must make of a signal.

    `hint_s` is the provider's wait in seconds from `now_utc`, before clamping and jitter; None where the
    answer gives none, or gives one that must not be believed. `inner` is the class of the error inside a
    stream (only with class StreamError); scope and retry are then the inner class's.
    """

    class_: OutcomeClass = msgspec.field(name="class")
    inner: OutcomeClass | None
    scope: Literal["provider", "credential", "model", "credential_model", "request"]
    hint_s: float | None
    retry: Literal["none", "same", "failover"]


class Signal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recorded answer. Header names are in lower case; `content-length` is left to the server.

    For a stream `body` is what came before the error and `stream_event` the raw error event.
    `now_utc` (RFC 3339) is the receiver's clock when the answer arrived. `flavour` is whose dialect it is;
    `provider_type` is the LLMProvider's `type` that such a provider is declared with.
    """

    name: str
    provider_type: Literal["openai", "anthropic", "azure_openai", "gemini", "openai_compatible"]
    flavour: str
    status: int
    headers: dict[str, str]
    body: str
    stream_event: str | None
    now_utc: str
    expect: Expectation
    source: str


@cache
def load_all() -> tuple[Signal, ...]:
    """Return every recorded signal in order of name.

    Raises msgspec.ValidationError for a malformed file: a fault of this package, not of a caller.
    """
    decoder = msgspec.json.Decoder(Signal)
    files = (entry for entry in resources.files(__package__).iterdir() if entry.name.endswith(".json"))
    return tuple(sorted((decoder.decode(entry.read_bytes()) for entry in files), key=lambda s: s.name))
