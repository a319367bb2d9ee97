"""A real Redis on this machine for tests: found on PATH or in the cache, else taken from Debian's packages.

`run` starts one on loopback. Command line: `python -m cliproxy_dev.redisserver`.
"""

from typing import Final

from cliproxy_dev.debianprogram import Sought

REDIS: Final = Sought("redis-server", ("redis-server", "redis-tools"), "6 or later, with TLS")
"""The first package holds a link to a program of the second."""
