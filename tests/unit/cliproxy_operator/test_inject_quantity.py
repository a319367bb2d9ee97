"""Quantities are read as Kubernetes reads them."""

from decimal import Decimal

import pytest

from cliproxy_operator.inject.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", "0"),
        ("250m", "0.25"),
        ("0.5", "0.5"),
        (".5", "0.5"),
        ("2.", "2"),
        ("1k", "1000"),
        ("64Mi", str(64 * 1024**2)),
        ("1.5Gi", str(1024**3 * 3 // 2)),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("2E", "2e18"),
        ("100n", "1e-7"),
    ],
)
def test_amounts(text: str, amount: str) -> None:
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text", ["", "m", "-1", "+1", "1 Gi", "1gi", "1K", "1ki", "1e", "1e+", "½", "٣", "1_000", "9" * 40, "1mi"]
)
def test_what_is_none_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantity|unit"):
        parse_quantity(text)
