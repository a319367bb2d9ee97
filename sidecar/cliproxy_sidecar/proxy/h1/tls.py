"""Whom we trust: the system's certificate authorities, the host's name, TLS 1.2 or later, HTTP/1.1 only.

Which connections use TLS is the address's matter; failures are named by `dial`.
"""

import functools
import ssl


@functools.cache
def client_context() -> ssl.SSLContext:
    """Return the context of all TLS connections; made once, as reading the authorities takes some 20 ms.

    OpenSSL's variables SSL_CERT_FILE and SSL_CERT_DIR name other authorities.
    """
    context = ssl.create_default_context()
    # Debian's Python leaves this to the system's openssl.cnf, which is not ours.
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    return with_alpn(context)


def with_alpn(context: ssl.SSLContext) -> ssl.SSLContext:
    """Offer HTTP/1.1 and nothing else."""
    context.set_alpn_protocols(["http/1.1"])
    return context
