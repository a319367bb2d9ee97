"""Plays kubelet on this machine: pods become processes, each pod with a loopback address of its own.

`agent` watches and keeps one `pod` per Pod; a pod keeps one `container` per container; `environment`,
`status`, `backoff` and `images` are pure. Its one liberty: a process cannot see a mount path, so each
volume's place is told in the variable CLIPROXY_VOLUME_<NAME>. An image may have a player instead, which runs
a real container: `playing` gives it its mounts, its account and the names of Services, and `logs` answers
what the API server asks a kubelet for `kubectl logs`. A claim is a folder that stays when its pod goes.
Liveness probes, limits and networks are left to real nodes, and changes of a running pod's images and Secrets
are not followed.
"""
