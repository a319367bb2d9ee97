"""A whole answer at once is byte for byte what its begin and end would be."""

from typing import Any

import pytest

from cliproxy_sidecar.core.h1request import Request
from cliproxy_sidecar.proxy.downstream import Downstream
from cliproxy_sidecar.runtime.light import Signal


class Line:
    """Keeps what is sent."""

    def __init__(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.write_paused = False
        self.drained = Signal()
        self.sent = b""

    def write(self, data: bytes) -> None:
        self.sent += data

    def expect_body(self) -> None:
        raise AssertionError("nobody asks for a body")

    def address(self, which: str) -> tuple[str, int] | None:
        del which
        return None


def downstream(method: str, *, keeps: bool) -> tuple[Any, Downstream]:
    line = Line(keeps=keeps)
    return line, Downstream(line, Request(method, "/v1/models", b"", []))


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("status", [200, 404, 799])
def test_whole_answer(status: int, method: str, *, keeps: bool) -> None:
    block, body = b"\r\ncontent-type: application/json", b'{"a":1}'
    line, stepwise = downstream(method, keeps=keeps)
    stepwise.begin(status, block, len(body))
    stepwise.end(body)
    other, whole = downstream(method, keeps=keeps)
    whole.answer(status, block, body)
    assert other.sent == line.sent
    assert (whole.stage, whole.status, whole.keeps) == (stepwise.stage, stepwise.status, stepwise.keeps)
    assert whole.sent_bytes == stepwise.sent_bytes
