"""Traces of requests: which are recorded, what is noted on the way, and how spans reach a receiver.

What a span says, and in which bytes, is `core.tracing`'s. Nothing here is touched while tracing is off.
"""
