"""Money as users write it and as we count it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliproxy_api.money import format_nano_usd, parse_nano_usd, round_nano_usd


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("12.50", 12_500_000_000),
        ("0.000000001", 1),
        ("999999999.999999999", 10**18 - 1),
        ("007", 7 * 10**9),
    ],
)
def test_reads_exactly(text: str, nano: int) -> None:
    assert parse_nano_usd(text) == nano


@pytest.mark.parametrize(
    "text", ["", "-1", "1.", ".5", "1,50", "$1", "1e3", "1.0000000001", "1\n", "1 ", "٣"]
)
def test_refuses_the_rest_and_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="US dollars as a quoted decimal"):
        parse_nano_usd(text)


@pytest.mark.parametrize(
    ("nano", "decimals", "text"),
    [(0, 2, "0.00"), (12_500_000_000, 2, "12.50"), (1, 2, "0.000000001"), (5 * 10**9, 0, "5")],
)
def test_writes_at_least_the_decimals_asked_for(nano: int, decimals: int, text: str) -> None:
    assert format_nano_usd(nano, decimals=decimals) == text


def test_an_amount_is_never_negative() -> None:
    with pytest.raises(ValueError, match="never negative"):
        format_nano_usd(-1)


@pytest.mark.parametrize(
    ("nano", "rounded"), [(4_999_999, 0), (5_000_000, 10_000_000), (12_340_000_000, 12_340_000_000)]
)
def test_rounds_half_up_to_cents(nano: int, rounded: int) -> None:
    assert round_nano_usd(nano) == rounded


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_reads_what_it_writes(nano: int) -> None:
    assert parse_nano_usd(format_nano_usd(nano)) == nano
