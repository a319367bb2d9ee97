"""Passes an answer on and keeps its first and last bytes, for what it says about itself (see `Sink`)."""

from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.core.tracing.told import Ends
from cliproxy_sidecar.proxy.downstream import Sink


class Watch:
    """Stands between an exchange and whoever gets its answer."""

    __slots__ = ("_sink", "ends")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.ends = Ends()

    @property
    def request(self) -> Request:
        """What was asked."""
        return self._sink.request

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
        self.ends.take(data)
        await self._sink.write(data)

    def answer(self, status: int, block: bytes, body: bytes) -> None:
        """Send a whole answer."""
        self.begin(status, block, len(body))
        self.end(body)

    def end(self, data: bytes = b"") -> None:
        """Pass the last bytes on."""
        self.ends.take(data)
        self._sink.end(data)
