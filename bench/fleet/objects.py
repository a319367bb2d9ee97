"""The objects of the benchmark: providers with their keys, policies, a profile, pods. Pure."""

from typing import Any, Final

Json = dict[str, Any]

NAMESPACE: Final = "fleet"
OPERATOR_NAMESPACE: Final = "cliproxy-system"
GROUP: Final = "/apis/cliproxy.io/v1alpha1"
CHANGED: Final = "provider-000"
"""The provider whose changes are followed; the others only cool."""
MODELS: Final = 4
_DEFAULT_POLICY: Final = "usual"


def provider_name(number: int) -> str:
    """Return the name of a provider."""
    return f"provider-{number:03}"


def secrets(count: int) -> list[Json]:
    """Return one Secret per provider."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{provider_name(number)}-key", "namespace": NAMESPACE},
            "stringData": {"primary": f"sk-bench-{number:03}-a", "spare": f"sk-bench-{number:03}-b"},
        }
        for number in range(count)
    ]


def policies() -> list[Json]:
    """Return the namespace's default policy and one more, which every tenth provider names."""
    return [
        _ours("CooldownPolicy", _DEFAULT_POLICY, {"default": True, "errorThreshold": 5}),
        _ours("CooldownPolicy", "patient", {"durations": {"rateLimit": "5m"}, "lastResort": "Wait"}),
    ]


def provider(number: int, origin: str, *, weight: int = 1) -> Json:
    """Return one provider as a team would write it: two keys, four priced models, limits."""
    name = provider_name(number)
    spec: Json = {
        "type": "openai_compatible",
        "baseURL": f"{origin}/{name}/v1",
        "credentials": [
            {"name": key, "secretRef": {"name": f"{name}-key", "key": key}} for key in ("primary", "spare")
        ],
        "models": [
            {
                "name": f"model-{model}",
                "upstreamName": f"vendor-{number % 7}/model-{model}-2026-09-01",
                "contextWindow": 200_000,
                "pricing": {"input": "0.15", "output": "0.6", "per": "1M"},
            }
            for model in range(MODELS)
        ],
        "priority": 1 + number % 3,
        "weight": weight,
        "rateLimit": {"requestsPerMinute": 600, "tokensPerMinute": 400_000},
    }
    if number % 10 == 0:
        spec["cooldownPolicyRef"] = {"name": "patient"}
    return _ours("LLMProvider", name, spec)


def pod(name: str) -> Json:
    """Return a pod that holds a sidecar."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"cliproxy.io/sidecar": "true"}},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }


def pod_status(address: str) -> Json:
    """Return what a kubelet would write about a pod that runs."""
    return {
        "status": {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
    }


def path(document: Json) -> str:
    """Return where the API server keeps an object."""
    version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = kind.lower().removesuffix("y") + ("ies" if kind.endswith("y") else "s")
    place = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{place}/{plural}/{metadata['name']}"


def _ours(kind: str, name: str, spec: Json) -> Json:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "cliproxy.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
