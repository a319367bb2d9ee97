"""Answers kept for identical requests: which requests are identical, what is kept, for how long.

Sans-IO: the time is handed in. Recording, replaying and the second level are `proxy.reuse`'s.
"""
