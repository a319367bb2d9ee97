"""Makes and reads certificates: ECDSA P-256, one purpose each. Keys are random, all else is handed in.

When to make which is `pki_plan.py`'s word, where they are kept `pki_store.py`'s.
Sources: RFC 5280 (extensions), RFC 9525 (names), read 2026-11-21.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cliproxy_operator.hidden import Hidden
from cliproxy_operator.pki_plan import BACKDATE, Leaf, Life

Purpose = Literal["server", "client"]
_EKU: Final = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
MAX_AUTHORITIES: Final = 16
_UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.ExtensionNotFound)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: str
    key: Hidden


def new_authority(ends: datetime, now: datetime) -> Pair:
    """Return a self-signed authority that may sign leaves only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cliproxy control channel")])
    usage = _usage(signs=True)
    builder = _builder(key.public_key(), subject=name, issuer=name, now=now, ends=ends)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue(authority: Pair, *, name: str, purpose: Purpose, ends: datetime, now: datetime) -> Pair:
    """Return a leaf for one DNS name, or for one URI if the name has a scheme.

    Raises:
        ValueError: the authority cannot be read.

    """
    ca, ca_key = _load(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    general: x509.GeneralName = x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name)
    builder = _builder(
        key.public_key(), subject=x509.Name([]), issuer=ca.subject, now=now, ends=min(ends, _life(ca).ends)
    )
    # Critical, as the subject is empty (RFC 5280 section 4.2.1.6).
    builder = builder.add_extension(x509.SubjectAlternativeName([general]), critical=True)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([_EKU[purpose]]), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
    )
    return _pair(builder.sign(ca_key, hashes.SHA256()), key)


def read_authority(pair: Pair) -> tuple[str, Life] | None:
    """Return the key identifier and life of an authority; None if it is none, or the key is another's."""
    try:
        certificate, _ = _load(pair)
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return None
        return key_id(pair.certificate), _life(certificate)
    except _UNREADABLE:
        return None


def read_leaf(pair: Pair, authorities: str) -> Leaf | None:
    """Return what is known of a leaf; None if it cannot be read or the key is another's.

    `authorities` is what stands beside it.
    """
    try:
        certificate, _ = _load(pair)
        extensions = certificate.extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        signer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        return Leaf(
            life=_life(certificate),
            issuer=(signer or b"").hex(),
            names=frozenset(str(name.value) for name in names),
            trusts=frozenset(key_ids(authorities)),
        )
    except _UNREADABLE:
        return None


def names_of(certificate: str) -> frozenset[str]:
    """Return the subject alternative names of a PEM certificate; none if it has none or cannot be read."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return frozenset(str(name.value) for name in names)
    except _UNREADABLE:
        return frozenset()


def not_certificates(text: str) -> bool:
    """Say whether a text holds no certificate in PEM, or one that cannot be read."""
    try:
        return not x509.load_pem_x509_certificates(text.encode())
    except _UNREADABLE:
        return True


def key_fits(pair: Pair) -> bool | None:
    """Say whether the key, of any sort, is the certificate's; None: it cannot be read as a key."""
    try:
        key = serialization.load_pem_private_key(pair.key.reveal().encode(), password=None)
    except _UNREADABLE:
        return None
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    return bool(certificate.public_key() == key.public_key())


def key_id(certificate: str) -> str:
    """Return the key identifier of one PEM certificate.

    Raises:
        ValueError: it cannot be read.

    """
    (identifier,) = key_ids(certificate)
    return identifier


def key_ids(certificates: str) -> list[str]:
    """Return the key identifiers of all PEM certificates in a text, in order; empty for an empty text.

    Raises:
        ValueError: one cannot be read, or there are too many.

    """
    if not certificates.strip():
        return []
    loaded = x509.load_pem_x509_certificates(certificates.encode())
    if len(loaded) > MAX_AUTHORITIES:
        raise ValueError(f"more than {MAX_AUTHORITIES} certificates")
    return [_subject_key_id(one) for one in loaded]


def life_of(certificate: str) -> Life:
    """Return the life of a PEM certificate (the first in the text).

    Raises:
        ValueError: it cannot be read.

    """
    return _life(x509.load_pem_x509_certificate(certificate.encode()))


def _subject_key_id(certificate: x509.Certificate) -> str:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        found = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    return found.digest.hex()


def _life(certificate: x509.Certificate) -> Life:
    return Life(certificate.not_valid_before_utc + BACKDATE, certificate.not_valid_after_utc)


def _builder(
    key: ec.EllipticCurvePublicKey, *, subject: x509.Name, issuer: x509.Name, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM).decode(), Hidden(pem.decode()))


def _load(pair: Pair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    key = serialization.load_pem_private_key(pair.key.reveal().encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the key is no elliptic curve key")  # noqa: TRY004 -- wrong content, as all else here
    if certificate.public_key() != key.public_key():
        raise ValueError("the key is another certificate's")
    return certificate, key
