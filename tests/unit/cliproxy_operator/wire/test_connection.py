"""How long a connection waits for an answer: counted from its own request, whatever was asked before."""

import asyncio

import pytest

from cliproxy_operator.wire.connection import Connection
from cliproxy_operator.wire.trouble import LinkError

pytestmark = pytest.mark.looptime

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Silent(asyncio.Transport):
    """A transport to nobody."""

    aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes."""

    def abort(self) -> None:
        """Note it."""
        self.aborted = True


def connection() -> tuple[Connection, Silent]:
    made, transport = Connection(lambda _: None, None), Silent()
    made.connection_made(transport)
    return made, transport


async def answered(made: Connection, after_s: float) -> None:
    asking = asyncio.ensure_future(made.ask(b"PUT", timeout_s=10.0))
    await asyncio.sleep(after_s)
    made.data_received(ANSWER)
    assert await asking == (200, b"{}")


async def test_each_request_has_its_own_time() -> None:
    made, _ = connection()
    for _ in range(5):
        await answered(made, 9.0)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(LinkError, match="within 10 s"):
        await made.ask(b"PUT", timeout_s=10.0)
    assert loop.time() - began_s == pytest.approx(10.0, abs=0.1)


async def test_who_asks_nothing_is_not_late() -> None:
    made, transport = connection()
    await answered(made, 1.0)
    await asyncio.sleep(60.0)
    assert made.is_ready
    assert not transport.aborted
    await answered(made, 1.0)
