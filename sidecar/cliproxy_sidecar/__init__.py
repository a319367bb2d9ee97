"""The sidecar: one process per pod that takes callers' LLM requests to the provider that can serve them.

`core` decides, `runtime` hosts the machines, `proxy` is the data plane, `admin` the operations API. What the
fleet agrees on comes from the operator as `cliproxy_api` documents; the sidecar serves on without it.
"""
