"""The machines' hosts: clock, timers, background tasks, the running configuration, reports, probes, figures.

Decisions are `core`'s; this package gives them the time, acts on their answers and tells the operator.
"""
