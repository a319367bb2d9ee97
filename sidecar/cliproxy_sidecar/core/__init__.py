"""The sidecar's decisions, sans-IO: no await, clock, randomness or logging.

Wire knowledge (what bytes mean) and machines (what follows from outcomes and time) as functions and objects
that take values and `now` and return values. Reading clocks and sockets is left to `runtime` and `proxy`.
"""
