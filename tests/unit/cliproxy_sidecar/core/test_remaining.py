"""What is left of a provider's limits, read from its headers."""

import pytest

from cliproxy_sidecar.core.remaining import remaining


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], (None, None)),
        ([(b"X-RateLimit-Remaining-Requests", b"99"), (b"x-ratelimit-remaining-tokens", b" 7 ")], (99, 7)),
        (
            [
                (b"anthropic-ratelimit-requests-remaining", b"0"),
                (b"anthropic-ratelimit-tokens-remaining", b"80000"),
            ],
            (0, 80_000),
        ),
        (
            [(b"x-ratelimit-remaining-requests", b"many"), (b"x-ratelimit-remaining-tokens", b"-1")],
            (None, None),
        ),
        ([(b"x-ratelimit-remaining-tokens", b"9" * 5000)], (None, None)),
        ([(b"x-ratelimit-reset-requests-ms-x", b"1")], (None, None)),
    ],
)
def test_remaining(headers: list[tuple[bytes, bytes]], expected: tuple[int | None, int | None]) -> None:
    assert remaining(headers) == expected
