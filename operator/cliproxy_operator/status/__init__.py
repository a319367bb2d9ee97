"""Builders of status: previous status, diagnostics, what the fleet knows and the time -> status.

One module per kind; `figures` coarsens numbers, `phase` finds the one word, `writing` says when a status is
worth a write. `apply` writes.
"""
