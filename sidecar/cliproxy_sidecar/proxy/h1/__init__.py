"""The own upstream client: HTTP/1.1 over plain or TLS connections, kept in one pool per origin.

`client` fills the interface of `proxy/upstream.py`; `pool` says who gets which connection, `connection` moves
bytes and watches deadlines, `dial` opens sockets, `tls` holds the trust; what the bytes mean is `core.h1`'s.
No HTTP proxies, no HTTP/2, no compression, no redirects.
"""
