from collections import Counter

import pytest

from cliproxy_sidecar.core.affinity import belongs_to, fraction, key_of
from support.cooling import provider, target

TARGETS = tuple(target(provider(name)) for name in "abcd")
EVEN = (1.0, 1.0, 1.0, 1.0)
KEYS = [key_of(f"session-{number}".encode()) for number in range(4000)]


def homes(weights: tuple[float, ...], candidates: tuple[int, ...]) -> list[int]:
    return [belongs_to(key, TARGETS, weights, candidates) for key in KEYS]


def test_parts_do_not_run_into_each_other() -> None:
    assert key_of(b"ab", b"c") != key_of(b"a", b"bc")


def test_all_processes_and_versions_agree() -> None:
    assert key_of(b"a") == 0xFB4FC649FD18C02E


def test_keys_spread_by_weight() -> None:
    shares = Counter(homes((4.0, 3.0, 2.0, 1.0), (0, 1, 2, 3)))
    for position, share in enumerate((0.4, 0.3, 0.2, 0.1)):
        assert shares[position] / len(KEYS) == pytest.approx(share, abs=0.03)


def test_who_drops_out_passes_on_only_its_own_keys() -> None:
    before, after = homes(EVEN, (0, 1, 2, 3)), homes(EVEN, (0, 1, 3))
    moved = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert {old for old, _ in moved} == {2}
    assert {new for _, new in moved} == {0, 1, 3}


def test_a_smaller_weight_only_gives_keys_away() -> None:
    before, after = homes(EVEN, (0, 1, 2, 3)), homes((1.0, 1.0, 0.5, 1.0), (0, 1, 2, 3))
    assert {old for old, new in zip(before, after, strict=True) if old != new} == {2}


@pytest.mark.parametrize("bits", [0, 1, 2**63, 2**64 - 1])
def test_fractions_lie_between_0_and_1(bits: int) -> None:
    assert 0.0 < fraction(bits) < 1.0


def test_someone_is_found_even_without_weights() -> None:
    assert belongs_to(KEYS[0], TARGETS, (0.0,) * 4, (1, 2)) in (1, 2)
