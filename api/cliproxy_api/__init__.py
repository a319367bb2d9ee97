"""Types that the operator and the sidecar share; it imports nothing of ours and does no I/O.

`resources` is what users write, `snapshot` and `state` what the operator pushes, `report` what
sidecars tell, `codec` the only JSON border between them.
"""
