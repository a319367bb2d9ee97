"""A real etcd and kube-apiserver on this machine: found, obtained, started and stopped.

`find` looks, `download` and `debian` obtain, `prepare` puts the three in order, `start` runs the pair.
Command line: `python -m cliproxy_dev.controlplane prepare|up`.
"""
