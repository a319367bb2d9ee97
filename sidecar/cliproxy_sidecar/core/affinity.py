"""Keeps related requests at one target, so that the provider's prompt cache survives: whom a key belongs to.

Weighted rendezvous hashing: every candidate scores key and own name together, the highest wins. Whoever drops
out passes on only its own keys, and all sidecars agree without talking. What the key is `facts` says; who may
be a candidate is decided before.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import log
from typing import Final

from cliproxy_sidecar.core.target import Target, TargetId

_MASK: Final = 2**64 - 1
_MAX_TARGETS: Final = 16_384
"""500 providers x 20 models, and some room."""


def key_of(*parts: bytes) -> int:
    """Return 64 bits that stand for the parts, the same in every process."""
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return int.from_bytes(digest.digest(), "big")


def belongs_to(
    key: int, targets: Sequence[Target], weights: Sequence[float], candidates: Sequence[int]
) -> int:
    """Return the candidate (a position in `targets`) that the key belongs to; keys spread by weight."""
    best, most = candidates[0], float("-inf")
    for position in candidates:
        drawn = fraction(key ^ _seed(targets[position].id))
        score = -weights[position] / log(drawn) if weights[position] > 0 else 0.0
        if score > most:
            best, most = position, score
    return best


def fraction(bits: int) -> float:
    """Spread 64 bits evenly over the numbers between 0 and 1, both left out.

    The finaliser of splitmix64 (Steele, Lea and Flood, 2014).
    """
    bits = (bits + 0x9E3779B97F4A7C15) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return ((bits ^ (bits >> 31)) + 0.5) / 2.0**64 * (1.0 - 2.0**-52) + 2.0**-65


@lru_cache(maxsize=_MAX_TARGETS)
def _seed(target: TargetId) -> int:
    return key_of(*(part.encode() for part in target))
