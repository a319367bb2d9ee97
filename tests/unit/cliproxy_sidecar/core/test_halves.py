"""Halves of characters are replaced, and nothing else."""

import json
import sys
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_sidecar.core.halves import MAX_LOOKS, without_halves


@pytest.mark.parametrize(
    ("data", "mended"),
    [
        (rb'{"a":"x\ud83d"}', rb'{"a":"x\ufffd"}'),
        (rb'{"a":"\uDE00x"}', rb'{"a":"\ufffdx"}'),
        (rb'{"a":"\ud83d\ud83d\ude00"}', rb'{"a":"\ufffd\ud83d\ude00"}'),
        (rb'{"a":"\ude00\ud83d"}', rb'{"a":"\ufffd\ufffd"}'),
        (rb'{"a":"\\\ud83d\n"}', rb'{"a":"\\\ufffd\n"}'),
        (rb'{"a":"\ud83d\ude00"}', None),
        (rb'{"a":"\\ud83d"}', None),
        (rb'{"a":"\u00e9"}', None),
        (b'{"a":1}', None),
        (b"\\", None),
        (b"", None),
    ],
)
def test_halves(data: bytes, mended: bytes | None) -> None:
    assert without_halves(data) == mended


@given(st.text(st.characters(min_codepoint=0xD7F0, max_codepoint=0xE010) | st.sampled_from('a\\"\n')))
def test_what_is_mended_can_be_read_and_is_the_rest(text: str) -> None:
    data = json.dumps({"a": text}).encode()
    mended = without_halves(data) or data
    assert len(mended) == len(data)
    expected = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert msgspec.json.decode(mended) == {"a": expected}


def steps_for(data: bytes) -> tuple[int, bytes | None]:
    """Return how many lines are run for a text, and what comes out."""
    steps = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal steps
        steps += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        mended = without_halves(data)
    finally:
        sys.settrace(before)
    return steps, mended


@pytest.mark.parametrize(("count", "is_half"), [(2**16, True), (2**16 + 1, False), (2**22, True)])
def test_backslashes_take_no_steps(count: int, *, is_half: bool) -> None:
    def text(backslashes: int) -> bytes:
        return b'"' + b"\\" * backslashes + rb"\ud83d" + b'"'

    steps, mended = steps_for(text(count))
    assert mended == (text(count).replace(b"ud83d", b"ufffd") if is_half else None)
    assert steps == steps_for(text(count % 2))[0]


def test_too_many_are_left() -> None:
    assert without_halves(b'"' + rb"\ud83d" * (MAX_LOOKS + 1) + b'"') is None
