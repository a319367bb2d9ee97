"""The authority's Secret as a value: read, advanced by a step of `pki_plan.py`, written.

Holds the signing authority, the next one once it is announced, and the former one for as long as it has to be
trusted; and the key of the digests of provider keys, which has to outlive every replica just the same.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cliproxy_api.channel import AUTHORITIES_FILE, CERTIFICATE_FILE, KEY_FILE
from cliproxy_operator import x509
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.pki_plan import Authorities, AuthorityStep, Life, Timing, former_until
from cliproxy_operator.x509 import Pair

NEXT_CERTIFICATE: Final = "next.crt"
NEXT_KEY: Final = "next.key"
FORMER_CERTIFICATE: Final = "former.crt"
FORMER_UNTIL: Final = "former.until"
_PASSING: Final = (NEXT_CERTIFICATE, NEXT_KEY, FORMER_CERTIFICATE, FORMER_UNTIL)
"""In the Secret for a while only."""
DIGEST_KEY: Final = "digest.key"
DIGEST_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Keyring:
    """All authorities there are."""

    signing: Pair | None = None
    next: Pair | None = None
    former: str = ""
    former_until: datetime | None = None
    digest_key: Hidden | None = None

    def bundle(self) -> str:
        """Return the certificates that both ends trust, the signing one first."""
        pairs = [pair.certificate for pair in (self.signing, self.next) if pair is not None]
        return "".join([*pairs, self.former])

    def facts(self) -> Authorities:
        """Return what the plan goes by; an authority that cannot be read counts as none."""
        return Authorities(
            signing=_life(self.signing),
            next=_life(self.next),
            former=_former_life(self.former),
            former_until=self.former_until,
        )


def read(secret: Mapping[str, Any] | None) -> Keyring:
    """Return what the Secret holds; parts that cannot be read are left out."""
    data = (secret or {}).get("data") or {}
    until = text(data, FORMER_UNTIL)
    former = text(data, FORMER_CERTIFICATE)
    digest_key = text(data, DIGEST_KEY)
    signing = _pair(data, CERTIFICATE_FILE, KEY_FILE)
    next_ = _pair(data, NEXT_CERTIFICATE, NEXT_KEY)
    if next_ is not None and signing is not None and next_.certificate == signing.certificate:
        next_ = None  # what was left of a copy that was put back: it signs already (`left_over`)
    return Keyring(
        signing=signing if signing is not None and x509.read_authority(signing) is not None else None,
        next=next_ if next_ is not None and x509.read_authority(next_) is not None else None,
        former=former if _former_life(former) is not None else "",
        former_until=_instant(until),
        digest_key=Hidden(digest_key) if digest_key else None,
    )


def advance(keyring: Keyring, step: AuthorityStep, timing: Timing, now: datetime) -> Keyring:
    """Return the keyring after a step."""
    if step.drop_former:
        keyring = replace(keyring, former="", former_until=None)
    if step.found:
        signing = x509.new_authority(now + timing.authority_life, now)
        keyring = replace(keyring, signing=signing, next=None)
    if step.announce:
        keyring = replace(keyring, next=x509.new_authority(now + timing.authority_life, now))
    if step.promote:
        former = keyring.signing.certificate if keyring.signing is not None else ""
        until = former_until(timing, now) if former else None
        keyring = replace(keyring, signing=keyring.next, next=None, former=former, former_until=until)
    if keyring.digest_key is None:
        keyring = replace(keyring, digest_key=Hidden(secrets.token_hex(DIGEST_KEY_BYTES)))
    return keyring


def data_of(keyring: Keyring) -> dict[str, str]:
    """Return the Secret's `data`."""
    texts = {AUTHORITIES_FILE: keyring.bundle(), FORMER_CERTIFICATE: keyring.former}
    if keyring.signing is not None:
        texts |= {CERTIFICATE_FILE: keyring.signing.certificate, KEY_FILE: keyring.signing.key.reveal()}
    if keyring.next is not None:
        texts |= {NEXT_CERTIFICATE: keyring.next.certificate, NEXT_KEY: keyring.next.key.reveal()}
    if keyring.former_until is not None:
        texts[FORMER_UNTIL] = keyring.former_until.isoformat()
    if keyring.digest_key is not None:
        texts[DIGEST_KEY] = keyring.digest_key.reveal()
    return {name: base64.b64encode(value.encode()).decode() for name, value in texts.items() if value}


def left_over(held: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what is over and stands in the Secret all the same, as the nothing to write in its place.

    What server-side apply leaves out stays, if another manager owns it as well: whoever put a copy back that
    was taken while there was a next or a former authority. What is written over is ours alone, and goes next.
    """
    return {name: "" for name in _PASSING if held.get(name) and name not in wanted}


def text(data: Mapping[str, Any], name: str) -> str:
    """Return one value of a Secret's `data` as text; "" if it is not there or not readable."""
    try:
        return base64.b64decode(str(data.get(name) or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _pair(data: Mapping[str, Any], certificate: str, key: str) -> Pair | None:
    both = text(data, certificate), text(data, key)
    return Pair(both[0], Hidden(both[1])) if all(both) else None


def _life(pair: Pair | None) -> Life | None:
    known = x509.read_authority(pair) if pair is not None else None
    return known[1] if known is not None else None


def _former_life(certificate: str) -> Life | None:
    try:
        return x509.life_of(certificate) if certificate else None
    except ValueError:
        return None


def _instant(value: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
