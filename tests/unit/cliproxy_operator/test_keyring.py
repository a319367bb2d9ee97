"""The authority's Secret: what is read is what was written, and rubbish is nothing."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from cliproxy_operator import x509
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.keyring import Keyring, advance, data_of, left_over, read
from cliproxy_operator.pki_plan import AuthorityStep, Timing, plan_authorities
from cliproxy_operator.x509 import Pair

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TIMING = Timing(authority_life=360 * DAY, leaf_life=7 * DAY)


def found() -> Keyring:
    return advance(Keyring(), plan_authorities(Keyring().facts(), TIMING, NOON), TIMING, NOON)


def after(keyring: Keyring, days: float) -> Keyring:
    now = NOON + days * DAY
    return advance(keyring, plan_authorities(keyring.facts(), TIMING, now), TIMING, now)


def test_what_is_written_is_read_again() -> None:
    keyring = after(after(found(), 240), 241)
    assert keyring.former
    assert read({"data": data_of(keyring)}) == keyring
    assert read({"data": data_of(found_with_next := after(found(), 240))}) == found_with_next


def test_the_first_authority_signs_at_once_and_is_all_that_is_trusted() -> None:
    keyring = found()
    assert keyring.signing is not None
    assert keyring.bundle() == keyring.signing.certificate
    assert keyring.digest_key is not None


def test_a_whole_rotation() -> None:
    first = found()
    announced = after(first, 240)
    assert announced.signing == first.signing
    assert announced.next is not None
    assert announced.bundle() == first.bundle() + announced.next.certificate

    promoted = after(announced, 241)
    assert promoted.signing == announced.next
    assert promoted.bundle() == announced.next.certificate + first.bundle()
    assert promoted.former_until == NOON + 248 * DAY

    ended = after(promoted, 248)
    assert ended.bundle() == announced.next.certificate
    assert ended.digest_key == first.digest_key


def test_a_next_authority_that_signs_already_is_none() -> None:
    announced = after(found(), 240)
    promoted = after(announced, 241)
    copied = {name: text for name, text in data_of(announced).items() if name.startswith("next.")}
    assert len(copied) == 2

    held = read({"data": data_of(promoted) | copied})

    assert held == promoted
    assert after(held, 241) == promoted, "it is not promoted again, and the former one stays trusted"


def test_what_is_over_and_stands_there_all_the_same_is_written_over_with_nothing() -> None:
    announced = after(found(), 240)
    promoted = after(announced, 241)
    wanted = data_of(promoted)
    assert left_over(wanted, wanted) == {}
    assert left_over(data_of(announced) | wanted, wanted) == {"next.crt": "", "next.key": ""}
    assert left_over(wanted | {"next.crt": "", "next.key": "", "mine": "eA=="}, wanted) == {}
    ended = data_of(after(promoted, 248))
    assert left_over(wanted | ended, ended) == {"former.crt": "", "former.until": ""}


def test_nothing_due_changes_nothing() -> None:
    keyring = found()
    assert after(keyring, 100) == keyring


@pytest.mark.parametrize("rubbish", ["", "!!", "bm8=", base64.b64encode(b"\xff\xfe").decode()])
@pytest.mark.parametrize("key", ["tls.crt", "tls.key"])
def test_an_unreadable_authority_counts_as_none(key: str, rubbish: str) -> None:
    data = data_of(found()) | {key: rubbish}
    assert read({"data": data}).signing is None
    assert read({"data": {}}) == read(None) == Keyring()


def test_a_key_of_another_authority_is_none() -> None:
    data = data_of(found()) | {"tls.key": data_of(found())["tls.key"]}
    assert read({"data": data}).signing is None


def test_a_leaf_is_no_authority() -> None:
    signing = found().signing
    assert signing is not None
    leaf = x509.issue(signing, name="a.b", purpose="server", ends=NOON + DAY, now=NOON)
    assert x509.read_authority(leaf) is None
    assert x509.read_authority(signing) is not None


def test_a_leaf_is_read_with_all_that_the_plan_goes_by() -> None:
    signing = found().signing
    assert signing is not None
    pair = x509.issue(signing, name="a.b", purpose="server", ends=NOON + DAY, now=NOON)
    leaf = x509.read_leaf(pair, signing.certificate)
    assert leaf is not None
    assert (leaf.life.made, leaf.life.ends) == (NOON, NOON + DAY)
    assert leaf.names == {"a.b"}
    assert leaf.issuer == x509.key_id(signing.certificate)
    assert leaf.trusts == {leaf.issuer}
    assert x509.read_leaf(Pair(pair.certificate, Hidden("no key")), "") is None
    assert x509.read_leaf(pair, "-----BEGIN CERTIFICATE-----\nrubbish") is None
    other = x509.issue(signing, name="a.b", purpose="server", ends=NOON + DAY, now=NOON)
    assert x509.read_leaf(Pair(pair.certificate, other.key), signing.certificate) is None


def test_a_leaf_ends_with_its_authority_at_the_latest() -> None:
    signing = found().signing
    assert signing is not None
    pair = x509.issue(signing, name="a.b", purpose="client", ends=NOON + 999 * DAY, now=NOON)
    assert x509.life_of(pair.certificate).ends == NOON + 360 * DAY


def test_keys_do_not_show() -> None:
    keyring = found()
    assert keyring.signing is not None
    assert "PRIVATE" not in repr(keyring)


def test_no_step_keeps_everything() -> None:
    keyring = found()
    assert advance(keyring, AuthorityStep(look_again=NOON), TIMING, NOON) == keyring
