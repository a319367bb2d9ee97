"""Doing less: answers given again, identical requests in flight sharing one, small embedding requests joined.

Stands between `app` and `exchange` where a profile asks for it: `front` decides what a request gets, the
others are its ways. Which requests are identical is `core.cache`'s.
"""
