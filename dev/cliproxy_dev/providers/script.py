"""What a scripted provider is told to answer: behaviours, and the queue that hands them out.

Pure values and one small queue. How a behaviour looks on the wire is left to `play.py`; the named refusals of
real providers to `presets.py`.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

MAX_STEPS = 10_000
"""Steps a queue holds at most: above that a script is a bug, not a scenario."""


class _Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """Common ground of all behaviours; JSON carries the class's tag in `kind`."""


class Normal(_Behaviour, frozen=True, tag="normal"):
    """Answer as the real provider does.

    `latency_s` passes before the head, `chunk_delay_s` before every stream event but the first. `chunks` is
    the number of content pieces in a stream (None: one per word). `text` and `finish_reason` (in the
    provider's own words) replace what the prompt would lead to; `headers` are set on top of the usual ones.
    `gzip` compresses where the caller accepts it; `close` ends the connection after the answer.
    """

    latency_s: float = 0.0
    chunks: int | None = None
    chunk_delay_s: float = 0.0
    text: str | None = None
    finish_reason: str | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    headers: dict[str, str] = {}
    gzip: bool = False
    close: bool = False


class Fail(_Behaviour, frozen=True, tag="fail"):
    """Answer `status` with exactly this body and, but for framing and Date, exactly these headers."""

    status: int
    body: str = ""
    headers: dict[str, str] = {}
    latency_s: float = 0.0


class HtmlBody(_Behaviour, frozen=True, tag="html_body"):
    """Answer an edge's error page: `text/html` under any status, 200 included."""

    status: int = 502


class Redirect(_Behaviour, frozen=True, tag="redirect"):
    """Answer a redirect to `location`, which must not be followed."""

    location: str
    status: int = 307


class Reset(_Behaviour, frozen=True, tag="reset"):
    """Send the first `after_bytes` bytes of the normal answer (head included), then a TCP reset."""

    after_bytes: int = 0


class Close(_Behaviour, frozen=True, tag="close"):
    """Send the first `after_bytes` bytes of the normal answer (head included), then a clean end of data."""

    after_bytes: int = 0


class Hang(_Behaviour, frozen=True, tag="hang"):
    """Never answer; with `after_bytes` send that much of the normal answer first.

    Ends when the caller leaves or the provider stops.
    """

    after_bytes: int = 0


class Garbage(_Behaviour, frozen=True, tag="garbage"):
    """Send `size_bytes` bytes that are no HTTP, always the same ones, then end the connection."""

    size_bytes: int = 512


class HalfStream(_Behaviour, frozen=True, tag="half_stream"):
    """Send the first `events` events of the normal stream, then break off without the stream's end."""

    events: int = 3
    ending: Literal["close", "reset", "hang"] = "close"
    chunk_delay_s: float = 0.0


class StreamError(_Behaviour, frozen=True, tag="stream_error"):
    """Send `events` events of the normal stream, then the raw `event`, then end the stream in good order.

    `headers` are set on top of the usual ones. Whether a caller asked for a stream does not matter: with
    providers too, an answer that began with 200 can only go on like this.
    """

    event: str
    events: int = 1
    headers: dict[str, str] = {}


class ManyHeaders(_Behaviour, frozen=True, tag="many_headers"):
    """Send the normal answer with `count` more header lines of `value_bytes` bytes each."""

    count: int = 10_000
    value_bytes: int = 8


class Drip(_Behaviour, frozen=True, tag="drip"):
    """Send the normal answer, head included, in writes of `piece_bytes` with `delay_s` between them.

    `pieces` bounds the slow part: the rest follows at once (None: all of it is slow).
    """

    piece_bytes: int = 1
    delay_s: float = 0.0
    pieces: int | None = None


class HugeBody(_Behaviour, frozen=True, tag="huge_body"):
    """Send a valid JSON object of at least `size_bytes` bytes, chunked or with a Content-Length."""

    size_bytes: int = 64 * 1024 * 1024
    chunked: bool = True
    status: int = 200


class WrongLength(_Behaviour, frozen=True, tag="wrong_length"):
    """Declare `delta_bytes` more (or, negative, fewer) body bytes than the normal answer has, then close."""

    delta_bytes: int = 10


class Raw(_Behaviour, frozen=True, tag="raw"):
    """Send these bytes (Latin-1 text) instead of an answer, then end the connection."""

    data: str


Behaviour: TypeAlias = (
    Normal
    | Fail
    | HtmlBody
    | Redirect
    | Reset
    | Close
    | Hang
    | Garbage
    | HalfStream
    | StreamError
    | ManyHeaders
    | Drip
    | HugeBody
    | WrongLength
    | Raw
)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a script may look at: `billed` tells a generating call (POST) from a probe such as GET models."""

    path: str
    model: str | None
    credential: str
    billed: bool


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests a step is for; a field left None matches all.

    `path` is a prefix. `requests` is `billed` by default so that a health probe does not eat the one refusal
    that a scenario planned for a real call.
    """

    path: str | None = None
    model: str | None = None
    credential: str | None = None
    requests: Literal["billed", "probes", "all"] = "billed"

    def fits(self, facts: Facts) -> bool:
        """Tell whether the step is for a request with these facts."""
        return (
            (self.requests == "all" or facts.billed == (self.requests == "billed"))
            and (self.path is None or facts.path.startswith(self.path))
            and self.model in (None, facts.model)
            and self.credential in (None, facts.credential)
        )


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One behaviour for the next `times` matching requests (at least 1; None: for all to come)."""

    behaviour: Behaviour
    times: int | None = 1
    match: Match = Match()

    def __post_init__(self) -> None:
        """Refuse a step that could never be used."""
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1, or null for all requests to come")


class Script:
    """A queue of steps and what to do when none fits. Not safe across threads; lives in the server's loop."""

    def __init__(self, steps: Iterable[Step] = (), *, default: Behaviour | None = None) -> None:
        self.default: Behaviour = default or Normal()
        self._steps: list[Step] = []
        self.add(*steps)

    @property
    def pending(self) -> tuple[Step, ...]:
        """The steps still to come, with the times that are left."""
        return tuple(self._steps)

    def add(self, *steps: Step) -> None:
        """Queue steps behind those that wait; raises ValueError above MAX_STEPS."""
        if len(self._steps) + len(steps) > MAX_STEPS:
            raise ValueError(f"a script holds at most {MAX_STEPS} steps")
        self._steps.extend(steps)

    def clear(self) -> None:
        """Forget all steps and answer normally again."""
        self._steps.clear()
        self.default = Normal()

    def take(self, facts: Facts) -> Behaviour:
        """Use up one turn of the first step that fits and return its behaviour, else the default.

        The default serves every request that no step wants, probes included.
        """
        for index, step in enumerate(self._steps):
            if step.match.fits(facts):
                self._use(index, step)
                return step.behaviour
        return self.default

    def _use(self, index: int, step: Step) -> None:
        if step.times is None:
            return
        if step.times == 1:
            del self._steps[index]
        else:
            self._steps[index] = msgspec.structs.replace(step, times=step.times - 1)
