"""Embedding requests joined into one, and its answer told apart again.

Sans-IO. Who waits for whom, and how long, is `proxy.reuse.joining`'s.
"""
