"""The data path: plain ASGI in, one upstream client out, no framework between.

`app` says what is proxied, `exchange` leads one request through its life, `attempt` makes one try at one
target, `relay` passes bytes on, `upstream` is the client's interface.
"""
