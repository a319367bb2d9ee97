"""Whose request it is, and who is not listened to."""

import pytest

from cliproxy_api.snapshot import Consumer
from cliproxy_sidecar.core.limits.callers import Caller
from cliproxy_sidecar.core.limits.guesses import MAX_WRONG, WINDOW_S, Guesses
from cliproxy_sidecar.core.limits.identity import MISSING, SHUT_OUT, WRONG, Stranger, identify, is_local
from cliproxy_sidecar.core.limits.keys import KeyRing

WEB = Caller(Consumer(name="web"))
FAR, NEAR, POD = "10.1.2.3", "127.0.0.1", "10.1.2.77"


@pytest.fixture
def ring() -> KeyRing[Caller]:
    keys: KeyRing[Caller] = KeyRing(b"0123456789abcdef")
    keys.add("sk-right", WEB)
    return keys


def ask(
    ring: KeyRing[Caller],
    guesses: Guesses,
    key: bytes | None,
    address: str = FAR,
    *,
    own: str = "",
    now: float = 1.0,
) -> Caller | Stranger:
    headers = [] if key is None else [(b"x-api-key", key)]
    ends = (address, 41234), (own or (NEAR if address == NEAR else POD), 8317)
    return identify(ring, guesses, headers, b"", *ends, now)


def test_a_right_key_is_its_callers_and_others_are_nobodys(ring: KeyRing[Caller]) -> None:
    guesses = Guesses()
    assert ask(ring, guesses, b"sk-right") is WEB
    assert ask(ring, guesses, b"sk-wrong") == Stranger(WRONG)
    assert ask(ring, guesses, None) == Stranger(MISSING)


def test_a_guesser_is_not_listened_to_even_when_it_guesses_right(ring: KeyRing[Caller]) -> None:
    guesses = Guesses()
    for _ in range(MAX_WRONG):
        ask(ring, guesses, b"sk-wrong")
    assert ask(ring, guesses, b"sk-right") == Stranger(SHUT_OUT, 1.0 + WINDOW_S)
    assert ask(ring, guesses, b"sk-right", "10.9.9.9") is WEB
    assert ask(ring, guesses, b"sk-right", now=1.0 + WINDOW_S) is WEB


def test_who_was_known_before_stays_welcome_behind_a_guessers_address(ring: KeyRing[Caller]) -> None:
    guesses = Guesses()
    assert ask(ring, guesses, b"sk-right") is WEB
    for _ in range(MAX_WRONG):
        ask(ring, guesses, b"sk-wrong")
    assert ask(ring, guesses, b"sk-right") is WEB


def test_neighbours_in_the_pod_are_never_shut_out(ring: KeyRing[Caller]) -> None:
    guesses = Guesses()
    for _ in range(MAX_WRONG + 1):
        assert ask(ring, guesses, b"sk-wrong", NEAR) == Stranger(WRONG)
    assert ask(ring, guesses, b"sk-right", NEAR) is WEB
    assert guesses.is_quiet


@pytest.mark.parametrize("through", [NEAR, "127.0.0.6"])
def test_what_a_mesh_hands_on_from_loopback_is_counted(ring: KeyRing[Caller], through: str) -> None:
    guesses = Guesses()
    for _ in range(MAX_WRONG):
        ask(ring, guesses, b"sk-wrong", through, own=POD)
    assert ask(ring, guesses, b"sk-right", through, own=POD) == Stranger(SHUT_OUT, 1.0 + WINDOW_S)


@pytest.mark.parametrize(
    ("peer", "own"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "127.0.3.9"), ("::1", "::1"), ("::ffff:127.0.0.1",) * 2],
)
def test_a_connection_from_loopback_to_loopback_is_this_machines(peer: str, own: str) -> None:
    assert is_local((peer, 41234), (own, 8317))


@pytest.mark.parametrize(
    ("peer", "own"),
    [
        (FAR, POD),
        (POD, POD),
        (FAR, NEAR),
        (NEAR, POD),
        ("127.0.0.6", POD),
        ("127.0.0.6", NEAR),
        ("::ffff:127.0.0.6", "::ffff:127.0.0.1"),
        ("::1", "fd00::7"),
        ("::1:2", "::1"),
        ("::ffff:10.1.2.3", "::ffff:127.0.0.1"),
    ],
)
def test_a_connection_with_one_end_elsewhere_is_not(peer: str, own: str) -> None:
    assert not is_local((peer, 41234), (own, 8317))


def test_a_connection_without_an_end_is_nobodys() -> None:
    assert not is_local(None, (NEAR, 8317))
    assert not is_local((NEAR, 41234), None)
