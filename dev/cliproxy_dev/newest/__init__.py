"""The newest Kubernetes' own server for custom resources, beside the control plane of this machine.

Debian's unstable distribution packages k8s.io/apiextensions-apiserver, the part of kube-apiserver that serves
CRDs, as a library with its program; it needs another API server for namespaces, users and rights. `build`
obtains it, `front` sends each request to the one of both whose it is, `plane` runs them all.
"""
