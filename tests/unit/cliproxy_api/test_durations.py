"""Durations as users write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.durations import format_duration, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("250ms", 0.25),
        ("30s", 30),
        ("5m", 300),
        ("5ms", 0.005),
        ("1h30m", 5400),
        ("24h", 86_400),
        ("1h1m1s1ms", 3661.001),
        ("90m", 5400),
        ("0h0m7s", 7),
    ],
)
def test_reads_what_users_write(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "1d", "5 m", " 5m", "5m\n", "-5m", "1.5h", "30s5m", "5m5m", "PT30S", "1 day", "5M", "٣s"],
)
def test_refuses_the_rest_and_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration such as 250ms, 30s, 5m or 1h30m"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (90, "1m30s"), (3600, "1h"), (0.0004, "0s"), (86_400, "24h")],
)
def test_writes_the_shortest_form(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [-1.0, float("inf"), float("nan")])
def test_what_is_no_duration_is_not_written(seconds: float) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        format_duration(seconds)


@given(st.integers(min_value=0, max_value=10**12))
def test_reads_what_it_writes(milliseconds: int) -> None:
    assert round(parse_duration_s(format_duration(milliseconds / 1000)) * 1000) == milliseconds
