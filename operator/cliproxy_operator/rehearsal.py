"""Whether sidecars would take a certificate of ours: the handshake with one, held with ourselves.

OpenSSL's own check against the authorities beside the certificate says more than reading it could: chains,
purposes and dates are judged exactly as at the other end. The clock is OpenSSL's. Nothing leaves the process.
"""

import ssl
from typing import Final

from cliproxy_api.channel import AUTHORITIES_FILE, CERTIFICATE_FILE, KEY_FILE, OPERATOR_ID
from cliproxy_operator import x509
from cliproxy_operator.identity import as_file, client_context
from cliproxy_operator.x509 import Pair

FLIGHTS: Final = 6
"""More than TLS 1.3 needs, so that a handshake which goes in circles ends."""
_WORDS: Final = {
    9: f"{CERTIFICATE_FILE} is not valid yet; compare the clocks of this node and of whoever issued it",
    10: f"{CERTIFICATE_FILE} or an authority it comes from has expired; have it issued anew",
    26: f"{CERTIFICATE_FILE} is not for clients; have it issued with the extended key usage client auth",
}
"""By OpenSSL's verify code. Source: openssl/x509_vfy.h, X509_V_ERR_* (read 2026-11-21)."""


def fault_of(pair: Pair, authorities: str) -> str:
    """Return why sidecars that trust `authorities` refuse whoever shows `pair`; empty: they do not.

    The sentence names the file and says what to do.

    Raises:
        ssl.SSLError: `pair` or `authorities` cannot be read.

    """
    if OPERATOR_ID not in (names := x509.names_of(pair.certificate)):
        found = ", ".join(sorted(names)) or "no name"
        return f"{CERTIFICATE_FILE} is for {found}; have it issued for the URI {OPERATOR_ID}"
    try:
        _handshake(_ourselves(pair, authorities), _sidecar(pair, authorities))
    except ssl.SSLCertVerificationError as error:
        return _WORDS.get(
            error.verify_code,
            f"{CERTIFICATE_FILE} comes from no authority in {AUTHORITIES_FILE} ({error.verify_message});"
            " mount the three files of one Secret",
        )
    return ""


def unreadable(pair: Pair, authorities: str) -> str:
    """Return which of the texts OpenSSL cannot take and why; empty: it can take all of them."""
    if x509.not_certificates(pair.certificate):
        return f"{CERTIFICATE_FILE} holds no certificate in PEM"
    if x509.not_certificates(authorities):
        return f"{AUTHORITIES_FILE} holds no certificate in PEM"
    match x509.key_fits(pair):
        case None:
            return f"{KEY_FILE} holds no private key in PEM, or one with a passphrase"
        case False:
            return f"{KEY_FILE} is not the key of {CERTIFICATE_FILE}; mount the files of one Secret"
        case True:
            return ""


def _ourselves(pair: Pair, authorities: str) -> ssl.SSLContext:
    """Return the client that we are, but for what it thinks of the other end."""
    context = client_context(pair, authorities)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _sidecar(pair: Pair, authorities: str) -> ssl.SSLContext:
    """Return a server that asks as a sidecar does; what it shows itself does not matter."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authorities)
    with as_file(f"{pair.certificate}\n{pair.key.reveal()}\n") as path:
        context.load_cert_chain(path)
    return context


def _handshake(ours: ssl.SSLContext, sidecar: ssl.SSLContext) -> None:
    """Shake hands over memory; raises what the sidecar's side has against ours."""
    to_sidecar, to_us = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(to_us, to_sidecar)
    server = sidecar.wrap_bio(to_sidecar, to_us, server_side=True)
    for _ in range(FLIGHTS):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
