"""Mounted certificates of every sort of wrong, and what is said of them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509 as reading
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cliproxy_api.channel import OPERATOR_ID
from cliproxy_operator.hidden import Hidden
from cliproxy_operator.identity import IdentityError
from cliproxy_operator.mounted import MountedIdentity
from cliproxy_operator.x509 import Pair
from support.pki import HOUR, Authority, now_utc, write

OURS, THEIRS = Authority(), Authority()
GOOD = OURS.operator()


def said(folder: Path, pair: Pair = GOOD, authorities: str = OURS.pem) -> str:
    """Return what is said of these files."""
    write(folder, pair, authorities)
    return MountedIdentity(folder).problem()


def test_of_good_files_nothing_is_said(tmp_path: Path) -> None:
    assert said(tmp_path) == ""


@pytest.mark.parametrize(
    ("pair", "authorities", "words"),
    [
        (Pair("no PEM", GOOD.key), OURS.pem, "tls.crt holds no certificate in PEM"),
        (Pair(GOOD.certificate, Hidden("no PEM")), OURS.pem, "tls.key holds no private key in PEM"),
        (GOOD, "no PEM", "ca.crt holds no certificate in PEM"),
        (GOOD, "", "ca.crt holds no certificate in PEM"),
        (Pair(GOOD.certificate, OURS.operator().key), OURS.pem, "tls.key is not the key of tls.crt"),
        (OURS.operator(ends_in=-HOUR), OURS.pem, "tls.crt or an authority it comes from has expired"),
        (GOOD, THEIRS.pem, "tls.crt comes from no authority in ca.crt"),
        (OURS.issue(OPERATOR_ID, "server"), OURS.pem, "extended key usage client auth"),
        (OURS.issue("shop.example", "client"), OURS.pem, "tls.crt is for shop.example; have it issued for"),
    ],
)
def test_the_file_and_what_to_do_are_named(tmp_path: Path, pair: Pair, authorities: str, words: str) -> None:
    problem = said(tmp_path, pair, authorities)
    assert words in problem
    assert problem.startswith(f"control channel: {tmp_path}: ")
    assert "PRIVATE" not in problem


@pytest.mark.parametrize("name", ["tls.crt", "tls.key", "ca.crt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, GOOD, OURS.pem)
    (tmp_path / name).unlink()
    problem = MountedIdentity(tmp_path).problem()
    assert f"{name}: No such file or directory" in problem
    assert "controlChannel.existingSecret" in problem


def test_a_file_that_is_no_text_is_no_accident(tmp_path: Path) -> None:
    write(tmp_path, GOOD, OURS.pem)
    (tmp_path / "tls.crt").write_bytes(b"\x30\x82\xff")  # DER
    with pytest.raises(IdentityError, match="no text in PEM"):
        MountedIdentity(tmp_path).context()


def test_what_is_mended_is_noticed_and_what_went_well_once_stays(tmp_path: Path) -> None:
    identity = MountedIdentity(tmp_path)
    write(tmp_path, GOOD, THEIRS.pem)
    assert "no authority" in identity.problem()
    write(tmp_path, GOOD, OURS.pem)
    assert identity.problem() == ""
    write(tmp_path, OURS.operator(ends_in=-HOUR), OURS.pem)
    assert identity.problem() == "", "a replica in service stays there: its webhooks are needed"


def test_an_intermediate_authority_and_rsa_will_do(tmp_path: Path) -> None:
    """As cert-manager issues by default: RSA, and the chain in tls.crt."""
    root, middle, leaf = (rsa.generate_private_key(65537, 2048) for _ in range(3))
    top = certificate("root", root, "root", root)
    between = certificate("middle", middle, "root", root)
    own = certificate("operator", leaf, "middle", middle)
    key = leaf.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair = Pair(own + between, Hidden(key.decode()))
    assert said(tmp_path, pair, top) == ""
    assert "no authority in ca.crt" in said(tmp_path, Pair(own, pair.key), top)


def certificate(name: str, key: rsa.RSAPrivateKey, issuer: str, signer: rsa.RSAPrivateKey) -> str:
    def named(text: str) -> reading.Name:
        return reading.Name([reading.NameAttribute(reading.NameOID.COMMON_NAME, text)])

    builder = reading.CertificateBuilder(
        named(issuer), named(name), key.public_key(), reading.random_serial_number(),
        now_utc() - timedelta(minutes=5), now_utc() + HOUR,
    )  # fmt: skip
    leaf = name == "operator"
    builder = builder.add_extension(reading.BasicConstraints(ca=not leaf, path_length=None), critical=True)
    if leaf:
        uri = reading.UniformResourceIdentifier(OPERATOR_ID)
        builder = builder.add_extension(reading.SubjectAlternativeName([uri]), critical=False)
        usage = reading.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
