"""Pure: which pods get a sidecar, what it looks like, and the JSON patch that adds it.

A pod is the plain value that the API server sends; it is never changed in place. Admission's envelope and the
server around it are `admission`'s, who is asked at all is the webhook configuration's (the chart).
"""
