"""The operator: compiles custom resources into snapshots, pushes them, merges what sidecars tell into status.

Pure modules decide (`inputs`, `compile*`, `validate`, `fleet*`, `view`, `status`, `events`, `election`):
values and instants in, values out. The other modules are shells that read the cluster, talk to sidecars and
write.
"""
