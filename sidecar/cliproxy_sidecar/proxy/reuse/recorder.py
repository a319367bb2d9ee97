"""Passes one answer on to its caller and keeps a copy, as long as it is small enough to be kept.

Whether the answer was a good one is known only when its exchange has ended: `front` decides then.
"""

from cliproxy_sidecar.core.cache.entry import MAX_ENTRY_BYTES
from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.core.headers import Header, block_of, headers_of
from cliproxy_sidecar.proxy.downstream import Downstream
from cliproxy_sidecar.proxy.reuse.call import told


class Recorder:
    """What an exchange sends to, in the caller's place (see `Sink`)."""

    def __init__(self, caller: Downstream, word: str, *, keep: bool) -> None:
        self._caller = caller
        self._word = word
        self._parts: list[bytes] | None = [] if keep else None
        self._bytes = 0
        self._ended = False
        self.keeps = True
        self.request: Request = caller.request
        self.status = 0
        self.headers: list[Header] = []

    def body(self) -> bytes | None:
        """Return the whole body; None: it did not come to its end, or was too large."""
        return b"".join(self._parts) if self._parts is not None and self._ended else None

    def begin(self, status: int, block: bytes, length: int | None = None) -> None:
        """Pass the head on, with what we did."""
        self.status, self.headers = status, headers_of(block)
        self._caller.begin(status, block + block_of([told(self._word)]), length)

    async def write(self, data: bytes) -> None:
        """Pass bytes on."""
        self._keep(data)
        await self._caller.write(data)

    def answer(self, status: int, block: bytes, body: bytes) -> None:
        """Take a whole answer."""
        self.begin(status, block, len(body))
        self.end(body)

    def end(self, data: bytes = b"") -> None:
        """Pass the last bytes on."""
        self._keep(data)
        self._ended = True
        self._caller.end(data)

    def _keep(self, data: bytes) -> None:
        if self._parts is None:
            return
        self._bytes += len(data)
        if self._bytes > MAX_ENTRY_BYTES:
            self._parts = None
        else:
            self._parts.append(data)
