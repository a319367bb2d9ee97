"""The resources that the operator reads and writes; the places of each are `cliproxy_api.kinds`'s."""

from typing import Final

from cliproxy_api.kinds import (
    ALERT_RULE,
    CUSTOM,
    EVENT,
    LEASE,
    NAMESPACE,
    POD,
    POLICY,
    PROFILE,
    PROVIDER,
    SECRET,
    Resource,
)

__all__ = [
    "ALERT_RULE",
    "CUSTOM",
    "EVENT",
    "LEASE",
    "NAMESPACE",
    "POD",
    "POLICY",
    "PROFILE",
    "PROVIDER",
    "SECRET",
    "WATCHED",
    "WEBHOOK_CONFIGURATIONS",
    "Resource",
]

PROMETHEUS_RULE: Final = Resource("PrometheusRule", "monitoring.coreos.com", "v1", "prometheusrules")
"""The Prometheus operator's; not served everywhere."""

WEBHOOK_CONFIGURATIONS: Final = (
    Resource(
        "MutatingWebhookConfiguration",
        "admissionregistration.k8s.io",
        "v1",
        "mutatingwebhookconfigurations",
        namespaced=False,
    ),
    Resource(
        "ValidatingWebhookConfiguration",
        "admissionregistration.k8s.io",
        "v1",
        "validatingwebhookconfigurations",
        namespaced=False,
    ),
)

WATCHED: Final = (*CUSTOM, SECRET, POD, NAMESPACE)
