"""Tokens to nano-dollars: every bucket at its price, exactly."""

import pytest

from cliproxy_api.snapshot import Pricing
from cliproxy_sidecar.core.limits.price import (
    EXPECTED_OUTPUT_TOKENS,
    cost_nano_usd,
    expected_nano_usd,
    expected_tokens,
)
from cliproxy_sidecar.core.usage import Usage

FULL = Pricing(
    input=1_000_000, output=10_000_000, cached_input=100_000, cache_write=2_000_000, reasoning=3_000_000
)
PLAIN = Pricing(input=1_000_000, output=10_000_000)


@pytest.mark.parametrize(
    ("usage", "full", "plain"),
    [
        (Usage(input=10), 10, 10),
        (Usage(cached_input=10), 1, 10),
        (Usage(cache_write=10), 20, 10),
        (Usage(output=10), 100, 100),
        (Usage(reasoning=10), 30, 100),
        (Usage(input=1, cached_input=10, cache_write=1, output=1, reasoning=1), 1 + 1 + 2 + 10 + 3, 32),
    ],
)
def test_each_bucket_has_its_price_or_its_kins(usage: Usage, full: int, plain: int) -> None:
    assert cost_nano_usd(usage, FULL) == full
    assert cost_nano_usd(usage, PLAIN) == plain
    assert cost_nano_usd(usage, None) == 0


def test_a_cost_is_rounded_half_up_once() -> None:
    assert cost_nano_usd(Usage(input=3), Pricing(input=500_000, output=0)) == 2
    assert cost_nano_usd(Usage(input=1), Pricing(input=499_999, output=0)) == 0


def test_what_a_request_will_cost_is_its_input_and_a_usual_answer() -> None:
    tokens = expected_tokens(4000)
    assert tokens == 1000 + EXPECTED_OUTPUT_TOKENS
    assert expected_nano_usd(tokens, PLAIN) == 1000 + 10 * EXPECTED_OUTPUT_TOKENS
    assert expected_nano_usd(tokens, None) == 0
    assert expected_nano_usd(0, PLAIN) == 0
