"""What the fleet has used and what that means: sums of sidecars' reports, leases, words for status.

`totals` adds up, `leases` says what sidecars are told, `shown` what status shows; `host` keeps them. Only
`host` acts.
"""
