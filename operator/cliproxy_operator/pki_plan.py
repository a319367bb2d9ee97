"""When certificates are issued, replaced and dropped: facts and the time in, decisions out.

    authority:  none --> signing --(2/3 of its life)--> signing + next --(spread)--> next signs,
                                                                    the former is trusted until its leaves end
    leaf:       issued --(2/3 of its life, or another authority signs, or it is not what is wanted)--> issued

Trust comes before use: an authority that is to sign is in everybody's list of trusted ones for a while
before it does, and stays in it after the last certificate it signed. So no end ever meets a certificate it
cannot check, and nothing is rotated in step. Making and reading certificates is left to `x509.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

BACKDATE: Final = timedelta(hours=1)
"""Certificates are valid this long before they are made: clocks of nodes differ."""
RENEW_AT: Final = 2 / 3
"""Of a life, as cert-manager and kubelet do: a third is left to notice and mend what is wrong."""
MAX_SPREAD: Final = timedelta(days=1)
"""How long a new authority is only trusted; kubelet brings changed Secrets to pods within minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long certificates live."""

    authority_life: timedelta
    leaf_life: timedelta

    @property
    def spread(self) -> timedelta:
        """How long a new authority is trusted before it signs."""
        return min(MAX_SPREAD, self.authority_life / 12)


@dataclass(frozen=True, slots=True)
class Life:
    """From when to when a certificate is valid; `made` is the backdating taken off."""

    made: datetime
    ends: datetime

    @property
    def renew(self) -> datetime:
        """When it is to be replaced."""
        return self.made + (self.ends - self.made) * RENEW_AT


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorities:
    """What stands in the authority's Secret."""

    signing: Life | None = None
    """None: there is none, or it cannot be used."""
    next: Life | None = None
    former: Life | None = None
    former_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityStep:
    """What to do with the authorities now, in this order; all False: nothing before `look_again`."""

    found: bool = False
    """Make a first one (or a new one for one that is lost or has ended): it signs at once."""
    announce: bool = False
    """Make the next one, to be trusted and not to sign yet."""
    promote: bool = False
    """Let the next one sign; the one before is the former."""
    drop_former: bool = False
    look_again: datetime

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.found or self.announce or self.promote or self.drop_former


def plan_authorities(held: Authorities, timing: Timing, now: datetime) -> AuthorityStep:
    """Return the next step; at most one of `found`, `announce` and `promote`."""
    drop = held.former is not None and (
        held.former.ends <= now or held.former_until is None or held.former_until <= now
    )
    signing, next_ = held.signing, held.next
    if signing is None or signing.ends <= now:
        if next_ is not None and next_.ends > now:
            return AuthorityStep(promote=True, drop_former=drop, look_again=now)
        return AuthorityStep(found=True, drop_former=drop, look_again=now)
    ends = [] if held.former is None or drop else [held.former_until or now, held.former.ends]
    if next_ is None or next_.ends <= now:
        due = now >= signing.renew
        return AuthorityStep(
            announce=due, drop_former=drop, look_again=now if due else min([signing.renew, *ends])
        )
    # The spread is cut short when the signing one would end before its leaves do.
    at = min(next_.made + timing.spread, signing.ends - timing.spread)
    return AuthorityStep(
        promote=now >= at, drop_former=drop, look_again=now if now >= at else min([at, *ends])
    )


def former_until(timing: Timing, now: datetime) -> datetime:
    """Return until when an authority that signs no more, from now on, has to be trusted."""
    return now + timing.leaf_life


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """What is known of an issued certificate that can be read and fits its key."""

    life: Life
    issuer: str
    """Key identifier of the authority that signed it."""
    names: frozenset[str]
    """Its subject alternative names."""
    trusts: frozenset[str]
    """Key identifiers of the authorities that stand beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafStep:
    """What to do with one leaf: `why` says what is wrong, "" is nothing."""

    issue: bool = False
    bundle: bool = False
    """The certificate stays, the authorities beside it are written anew."""
    why: str = ""
    look_again: datetime


def plan_leaf(
    leaf: Leaf | None, *, name: str, signing: str, trusted: Iterable[str], now: datetime
) -> LeafStep:
    """Return what to do with the certificate that is to carry exactly `name`, signed by `signing`."""
    why = _fault(leaf, name, signing, now)
    if leaf is None or why:
        return LeafStep(issue=True, why=why, look_again=now)
    if leaf.trusts != frozenset(trusted):
        return LeafStep(bundle=True, why="the trusted authorities have changed", look_again=leaf.life.renew)
    return LeafStep(look_again=leaf.life.renew)


def _fault(leaf: Leaf | None, name: str, signing: str, now: datetime) -> str:
    if leaf is None:
        return "there is none that can be used"
    if leaf.names != {name}:
        return "it carries another name"
    if leaf.issuer != signing:
        return "another authority signs now"
    if now >= leaf.life.ends:
        return "it has expired"
    if now < leaf.life.made - BACKDATE:
        return "it is not valid yet"
    return "two thirds of its life are over" if now >= leaf.life.renew else ""
