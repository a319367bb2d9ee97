"""The operator's webhooks, called by the world's API server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from cliproxy_dev import webhooks
from cliproxy_dev.demo.layout import NAMESPACE
from cliproxy_dev.faults.field import PROVIDERS, Field, until
from cliproxy_dev.kube import ApiError

PORT: Final = 9443
NAME: Final = "cliproxy-operator"
ENVIRONMENT: Final = {
    "CLIPROXY_WEBHOOKS": "1",
    "CLIPROXY_WEBHOOK_HOST": "127.0.0.1",
    "CLIPROXY_WEBHOOK_PORT": str(PORT),
    "CLIPROXY_WEBHOOK_NAME": "localhost",
    "CLIPROXY_WEBHOOK_CONFIGURATION": NAME,
}
_LABEL: Final = {"cliproxy.io/faults": "true"}
_WRONG: Final = {
    "apiVersion": "cliproxy.io/v1alpha1",
    "kind": "LLMProvider",
    "metadata": {"name": "is-it-there", "namespace": NAMESPACE},
    "spec": {
        "type": "openai",
        "baseURL": "http://169.254.169.254",
        "credentials": [{"name": "main", "secretRef": {"name": "nowhere", "key": "x"}}],
        "models": [{"name": "spoilt"}],
    },
}


@asynccontextmanager
async def configured(field: Field) -> AsyncIterator[None]:
    """The API server asks the operator about every object of ours; it is asked by now."""
    kube = field.world.kube
    await kube.merge_patch(f"/api/v1/namespaces/{NAMESPACE}", {"metadata": {"labels": _LABEL}})
    for one in webhooks.configurations(name=NAME, url=f"https://localhost:{PORT}", namespaces=_LABEL):
        await kube.create(webhooks.path_of(one).rpartition("/")[0], one)

    async def asked() -> bool:
        try:
            await kube.request("POST", PROVIDERS, body=_WRONG, params={"dryRun": "All"})
        except ApiError as error:
            return "admission webhook" in error.message
        return False

    await until(asked, "the webhook refuses a wrong object", within_s=60, every_s=0.2)
    yield
