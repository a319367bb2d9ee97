"""The quick look for a stream's end finds what one expression over the whole event finds."""

import re
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.proxy.relay import says_end

PLAIN: Final = re.compile(
    rb'\[DONE\]|message_stop|(?:(?:finish|stop)_r|(?:finish|block)R)eason"\s*:\s*"'
    rb"|response\.(?:completed|incomplete|failed)"
)
PIECES: Final = (
    *(b"[DONE]", b"message_stop", b'"finish_reason"', b'"stop_reason"', b'"finishReason"', b'"blockReason"'),
    *(b'"stopReason"', b'"reason"', b":", b" ", b'"', b"null", b"finish", b"_r", b'eason":"', b"response."),
    *(b"completed", b"incomplete", b"failed", b"created", b"\n", b"data: ", b"{", b"}", b",", b"stop"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_quick_look_is_the_plain_expression(pieces: list[bytes]) -> None:
    raw = b"".join(pieces)
    assert says_end(raw) == (PLAIN.search(raw) is not None)
