"""The webhook configurations of the local control plane: the chart's own rules, called by URL.

There is no Service network beside a bare API server, so the operator is called on loopback.
"""

import base64
from pathlib import Path
from typing import Any, Final

import yaml

RULES: Final = Path(__file__).resolve().parents[2] / "charts" / "cliproxy-operator" / "webhooks"
API_VERSION: Final = "admissionregistration.k8s.io/v1"
TIMEOUT_S: Final = 5
PLURALS: Final = {
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}


def configurations(
    *, name: str, url: str, ca_pem: str = "", namespaces: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return both configurations; `url` is "https://localhost:PORT", `namespaces` labels their namespaces.

    Without `ca_pem` the operator is to write the bundles.
    """
    bundle = {"caBundle": base64.b64encode(ca_pem.encode()).decode()} if ca_pem else {}
    made = []
    for kind, file in (
        ("MutatingWebhookConfiguration", "mutating"),
        ("ValidatingWebhookConfiguration", "validating"),
    ):
        webhooks = yaml.safe_load((RULES / f"{file}.yaml").read_text("utf-8"))
        for webhook in webhooks:
            selector = webhook.setdefault("namespaceSelector", {})
            selector["matchLabels"] = {**selector.get("matchLabels", {}), **(namespaces or {})}
            webhook |= {
                "clientConfig": {"url": url + webhook.pop("path"), **bundle},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "timeoutSeconds": TIMEOUT_S,
            }
            if file == "mutating":
                webhook["reinvocationPolicy"] = "IfNeeded"
        made.append(
            {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "webhooks": webhooks}
        )
    return made


def path_of(configuration: dict[str, Any]) -> str:
    """Return where the API server keeps a configuration."""
    return f"/apis/{API_VERSION}/{PLURALS[configuration['kind']]}/{configuration['metadata']['name']}"
