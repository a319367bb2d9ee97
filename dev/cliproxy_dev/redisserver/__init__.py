"""A real Redis on this machine for tests: found on PATH or in the cache, else taken from Debian's packages.

`obtain` finds or unpacks it, `run` starts one on loopback. Command line:
`python -m cliproxy_dev.redisserver`.
"""
