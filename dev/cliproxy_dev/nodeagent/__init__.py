"""Plays kubelet on this machine: pods become processes, each pod with a loopback address of its own.

`agent` watches and keeps one `pod` per Pod; a pod keeps one `container` per container; `environment`,
`status`, `backoff` and `images` are pure. Its liberties: a process cannot see a mount path, so each volume's
place is told in the variable CLIPROXY_VOLUME_<NAME>, and its account in KUBECONFIG. An image may have a
player instead, which runs a real container: `playing` gives it its mounts, its account and the names of
Services. `logs` and `execs` answer what the API server asks a kubelet for `kubectl logs` and `kubectl exec`.
A claim is a folder that stays when its pod goes. `deployments` and `services` do for Deployments and Services
what a cluster's own programs would, where a test wants a cluster that runs what it is given.
Liveness probes, limits and networks are left to real nodes, and changes of a running pod's images and Secrets
are not followed.
"""
