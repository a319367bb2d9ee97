"""One request that was chosen at its begin: its ids, the header that goes on, and its answer as it passes.

Of an answer that comes in one piece the piece is kept until the request's end, of others the first and last
bytes; what they say is `core.tracing.told`'s.
"""

from typing import Final

from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.core.tracing.context import TraceContext, parent_line, with_parent
from cliproxy_sidecar.core.tracing.ends import Ends
from cliproxy_sidecar.core.tracing.otlp import place
from cliproxy_sidecar.core.tracing.told import NOTHING, Reader, Told
from cliproxy_sidecar.proxy.downstream import Sink
from cliproxy_sidecar.runtime.clock import random_bytes

_TRACE_BYTES: Final = 16


class Span:
    """What is written down while a request runs."""

    __slots__ = ("_fresh", "_line", "place", "trace_hex", "watch")

    def __init__(self, parent: TraceContext | None) -> None:
        self._fresh = parent is None
        if parent is None:
            ids, flags = random_bytes(24), 0
            self.place = place(ids)
        else:
            ids, flags = parent.trace_id + random_bytes(8), parent.flags
            self.place = place(ids, parent.span_id, parent.state)
        hexed = ids.hex("-", -_TRACE_BYTES)
        self._line = parent_line(hexed, flags)
        self.trace_hex = hexed[:32]
        self.watch: Watch | None = None
        """What sees the answer; None: there is none of a provider's."""

    def carried(self, block: bytes) -> bytes:
        """Return the headers for a provider so that its part of the trace hangs below this span."""
        return with_parent(block, self._line, fresh=self._fresh)

    def watching(self, sink: Sink) -> Sink:
        """Return a sink that passes an answer on and notes what it says about itself."""
        self.watch = Watch(sink)
        return self.watch


class Watch:
    """Stands between an exchange and whoever gets its answer (see `Sink`)."""

    __slots__ = ("_ends", "_sink", "_whole", "request")

    def __init__(self, sink: Sink) -> None:
        self.request: Request = sink.request
        """What was asked."""
        self._sink = sink
        self._whole = b""
        self._ends: Ends | None = None
        """None: nothing has come, or all in one piece."""

    @property
    def keeps(self) -> bool:
        """Whether another request may follow."""
        return self._sink.keeps

    @keeps.setter
    def keeps(self, keeps: bool) -> None:
        self._sink.keeps = keeps

    def begin(self, status: int, block: bytes, length: int | None = None) -> None:
        """Pass the head on."""
        self._sink.begin(status, block, length)

    async def write(self, data: bytes) -> None:
        """Pass bytes on."""
        if self._ends is None:
            self._ends = Ends()
        self._ends.take(data)
        await self._sink.write(data)

    def end(self, data: bytes = b"") -> None:
        """Pass the last bytes on."""
        if self._ends is None:
            self._whole = data
        else:
            self._ends.take(data)
        self._sink.end(data)

    def answer(self, status: int, block: bytes, body: bytes) -> None:
        """Pass a whole answer on."""
        self._whole = body
        self._sink.answer(status, block, body)

    def told(self, reader: Reader) -> Told:
        """Return what the answer has said."""
        if self._ends is not None:
            return reader.by_ends(self._ends)
        return reader.whole(self._whole) if self._whole else NOTHING
