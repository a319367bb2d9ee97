"""Passes one answer on to its caller and keeps a copy, as long as it is small enough to be kept.

Whether the answer was a good one is known only when its exchange has ended: `front` decides then.
"""

from cliproxy_sidecar.core.cache.entry import MAX_ENTRY_BYTES
from cliproxy_sidecar.core.headers import Header
from cliproxy_sidecar.proxy.downstream import Downstream
from cliproxy_sidecar.proxy.reuse.call import never, told
from cliproxy_sidecar.runtime.asgi import Message


class Recorder:
    """What an exchange sends to, in the caller's place."""

    def __init__(self, caller: Downstream, word: str, *, keep: bool) -> None:
        self._caller = caller
        self._word = word
        self._parts: list[bytes] | None = [] if keep else None
        self._bytes = 0
        self._ended = False
        self.status = 0
        self.headers: list[Header] = []

    def downstream(self) -> Downstream:
        """Return the exchange's end of it."""
        return Downstream(self._caller.scope, never, self._send)

    def body(self) -> bytes | None:
        """Return the whole body; None: it did not come to its end, or was too large."""
        return b"".join(self._parts) if self._parts is not None and self._ended else None

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]
            return await self._caller.begin(self.status, [*self.headers, told(self._word)])
        data = message["body"]
        if self._parts is not None:
            self._bytes += len(data)
            if self._bytes > MAX_ENTRY_BYTES:
                self._parts = None
            else:
                self._parts.append(data)
        if message.get("more_body"):
            return await self._caller.write(data)
        self._ended = True
        return await self._caller.end(data)
