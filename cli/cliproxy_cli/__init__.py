"""`cliproxy`, also `kubectl cliproxy`: look at the fleet and act on it, with a kubeconfig and nothing else.

Needs the standard library, PyYAML and `cliproxy_api`: it starts fast enough to complete words in a shell, and
the operator's image runs it as it is.
"""
