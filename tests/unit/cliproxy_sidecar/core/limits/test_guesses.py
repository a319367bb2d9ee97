"""Wrong keys by address: bounded, passing, and harmless to those who were right before."""

from cliproxy_sidecar.core.limits.guesses import MAX_ADDRESSES, MAX_WRONG, WINDOW_S, Guesses

KEY, OTHER = b"k" * 32, b"o" * 32


def test_an_address_is_shut_out_after_too_many_wrong_keys_and_for_a_while() -> None:
    guesses = Guesses()
    for _ in range(MAX_WRONG):
        assert guesses.shut_until("10.0.0.1", KEY, 5.0) is None
        guesses.wrong("10.0.0.1", 5.0)
    assert guesses.shut_until("10.0.0.1", KEY, 6.0) == 5.0 + WINDOW_S
    assert guesses.shut_until("10.0.0.2", KEY, 6.0) is None
    assert guesses.shut_until("10.0.0.1", KEY, 5.0 + WINDOW_S) is None


def test_a_key_that_was_right_from_there_stays_welcome() -> None:
    guesses = Guesses()
    guesses.right("10.0.0.1", KEY)
    for _ in range(MAX_WRONG):
        guesses.wrong("10.0.0.1", 5.0)
    assert guesses.shut_until("10.0.0.1", KEY, 6.0) is None
    assert guesses.shut_until("10.0.0.1", OTHER, 6.0) is not None


def test_the_table_is_bounded() -> None:
    guesses = Guesses()
    for number in range(MAX_ADDRESSES + 10):
        guesses.wrong(f"10.{number}", 1.0)
    assert len(guesses._wrong) == MAX_ADDRESSES
    for _ in range(MAX_ADDRESSES):
        guesses.shut_until("somebody", KEY, 1.0 + WINDOW_S)
    assert guesses.is_quiet
