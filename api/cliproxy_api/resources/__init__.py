"""The four custom resources as frozen types: one module per kind, `parse` reads an object from a mapping.

Every field's meaning, bounds and default stand at the field; `crds/` says the same to the API server, and a
test compares the two. Rules that span several fields are in `cliproxy_api.rules`, rules that span several
objects are the operator's.
"""
