"""What the API server asks before it stores an object: pods get their sidecar, our kinds are validated.

`review`, `pods`, `objects` and `doubts` decide, purely; `app` is the HTTP around them. How it is served over
TLS, and by which certificate, is `serving`'s and `certificates`'.
"""
