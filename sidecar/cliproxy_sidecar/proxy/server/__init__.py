"""The own HTTP/1.1 server of the proxy port.

`listener` accepts, watches deadlines and drains; `connection` moves one caller's bytes and starts its
requests one after the other; what the bytes mean is `core.h1request`'s. A request is served by a coroutine
that is handed a `Downstream` (`proxy.downstream`); `asgi` lets an ASGI application serve one.
"""
